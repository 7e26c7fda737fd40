from prices import gross


def test_tax_is_added():
    assert gross(100, "DE") == 119


def test_cents_are_rounded():
    assert gross(1051, "LU") == 1230


def test_luxembourg_has_the_lowest_rate():
    assert gross(1000, "LU") == 1160
