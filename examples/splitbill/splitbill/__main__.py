"""The command line: python -m splitbill 10.00 ann ben cleo"""

import sys

from splitbill import money, shares


def main(arguments: list[str]) -> int:
    if not arguments:
        print("usage: python -m splitbill TOTAL PERSON...", file=sys.stderr)
        return 2
    try:
        split = shares.even(money.parse(arguments[0]), arguments[1:])
    except ValueError as error:
        print(f"splitbill: {error}", file=sys.stderr)
        return 2
    for person, share in split.items():
        print(f"{person:10} {money.show(share):>8}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
