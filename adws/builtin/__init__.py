"""The embedded default agent: six phases with no network, no key and no language model."""
