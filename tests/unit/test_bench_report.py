"""The table that `make bench` prints."""

from bench.report import Line, table


def test_a_line_tells_median_limit_ratio_and_whether_the_aim_is_met() -> None:
    card = Line(
        "card", [0.030, 0.025, 0.090], "slowest", 0.020, "at most 10 ms over", lambda line: line.over <= 0.010
    )
    assert (card.median, card.p95, round(card.ratio, 2)) == (0.030, 0.090, 1.5)
    last = table([Line("alone", [0.020]), card]).splitlines()[-1].split()
    assert last == [
        "card",
        "3",
        "30.0",
        "90.0",
        "20.0",
        "1.50",
        "10.0",
        "slowest",
        "at",
        "most",
        "10",
        "ms",
        "over",
        "met",
    ]


def test_a_missed_aim_is_said_aloud() -> None:
    line = Line("search", [0.040], "nothing", 0.001, "below 30 ms", lambda line: line.median < 0.030)
    assert "MISSED" in table([line])
