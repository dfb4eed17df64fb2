"""What a person sees of a run. Everything here is made from the record and can be made again."""
