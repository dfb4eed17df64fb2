from splitbill.__main__ import main


def test_each_share_is_one_line(capsys):
    assert main(["9.00", "ann", "ben"]) == 0
    assert capsys.readouterr().out == "ann            4.50\nben            4.50\n"


def test_a_bad_amount_is_named(capsys):
    assert main(["nine", "ann"]) == 2
    assert "`nine` is not an amount" in capsys.readouterr().err
