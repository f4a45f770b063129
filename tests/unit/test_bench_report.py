"""The tables that `make bench` prints."""

from bench.report import Line, Rate, growth_after_warm_up, rates_table, table


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


def test_each_aim_of_a_rate_has_a_line_with_its_verdict() -> None:
    own = Rate("list", "Okno", [300, 320, 310], 0.004, 0.003, [("yoga", 3.0, 3.1), ("mercurius", 1.0, 0.9)])
    peer = Rate("", "yoga", [100, 100, 100], 0.012, 0.010)
    lines = [line.split() for line in rates_table([own, peer]).splitlines()]
    assert lines[1] == [
        "list",
        "Okno",
        "310",
        "300",
        "320",
        "4.00",
        "3.000",
        "at",
        "least",
        "3",
        "×",
        "yoga",
        "3.10",
        "met",
    ]
    assert lines[2] == ["at", "least", "1", "×", "mercurius", "0.90", "MISSED"]
    assert lines[3] == ["yoga", "100", "100", "100", "12.00", "10.000"]


def test_memory_that_grows_after_the_warm_up_is_seen() -> None:
    assert growth_after_warm_up([50, 90, 99, *[100] * 7]) == 1.0
    assert growth_after_warm_up([100, 110, 120, 130, 140, 150, 160, 170, 180, 190]) == 1.2
