import pytest

from splitbill import shares


def test_everybody_pays_the_same():
    assert shares.even(1200, ["ann", "ben", "cleo"]) == {"ann": 400, "ben": 400, "cleo": 400}


def test_a_bill_needs_somebody_to_pay_it():
    with pytest.raises(ValueError, match="nobody"):
        shares.even(1200, [])


def test_own_items_are_paid_alone_and_the_rest_together():
    assert shares.by_items({"ann": [900], "ben": [850]}, shared=600) == {"ann": 1200, "ben": 1150}
