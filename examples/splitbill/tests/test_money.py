import pytest

from splitbill import money


@pytest.mark.parametrize(("text", "cents"), [("12.50", 1250), ("12", 1200), (" 0.05 ", 5)])
def test_an_amount_is_read_as_cents(text, cents):
    assert money.parse(text) == cents


@pytest.mark.parametrize("text", ["", "12.5", "12,50", "-3", "ten"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(ValueError, match="is not an amount"):
        money.parse(text)


def test_cents_are_shown_with_two_digits():
    assert money.show(1205) == "12.05"
