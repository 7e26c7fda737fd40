"""Prices with tax, in cents."""

TAX = {"DE": 19, "LU": 17}


def gross(net, country):
    """The price with the country's tax, rounded to the nearest cent."""
    return round(net * (100 + TAX[country]) / 100)
