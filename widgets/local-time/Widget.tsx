/** The employee's clock beside the reader's: what time it is there, and when one may call. */
import { useNow } from "okno/clock";
import type { WidgetProps } from "okno/dashboard/custom";
import type { LocalTimeWidgetQuery } from "okno/generated/graphql";
import { useI18n } from "okno/i18n";
import {
  differenceMinutes,
  hourAt,
  readerTimeZone,
  signedHours,
  weekdayAt,
} from "okno/people/time-zone";

import styles from "./Widget.module.css";

const OPENS = 9;
const CLOSES = 18;

export default function LocalTime({ data }: WidgetProps<LocalTimeWidgetQuery>) {
  const { t, format } = useI18n();
  const now = useNow();
  const employee = data.employee;
  const zone = employee?.timeZone ?? null;
  const here = readerTimeZone();
  const hour = zone === null ? null : hourAt(zone, now);
  const own = hourAt(here, now);
  const difference = zone === null ? null : differenceMinutes(zone, here, now);
  if (zone === null || hour === null || own === null || difference === null)
    return <p>{t("local_time.unknown")}</p>;

  const country = employee?.country ? format.country(employee.country) : "";
  const place =
    employee?.city && country
      ? t("local_time.place", { city: employee.city, country })
      : (employee?.city ?? country);
  const opens = inReaderDay(OPENS - difference / 60);
  const closes = inReaderDay(CLOSES - difference / 60);
  const strip = t("local_time.strip", {
    from: clock(opens),
    to: clock(closes),
  });
  return (
    <div className={styles.clock}>
      <div className={styles.line}>
        <time
          className={styles.time}
          dateTime={new Date(now).toISOString()}
          title={zone}
        >
          {format.time(now, zone)}
        </time>
        <div>
          <div>{format.weekday(now, zone)}</div>
          <div className={styles.second}>{place}</div>
        </div>
        <div className={styles.aside}>
          <div>
            {difference === 0
              ? t("local_time.same")
              : t("local_time.difference", { hours: signedHours(difference) })}
          </div>
          <div className={styles.second}>
            {t("local_time.yours", { time: format.time(now) })}
          </div>
        </div>
      </div>
      <p className={styles.verdict} data-open={isOpen(zone, now, hour)}>
        {t(`local_time.${phase(zone, now, hour)}`)}
      </p>
      <div className={styles.strip} role="img" aria-label={strip} title={strip}>
        {spans(opens, closes).map(([from, to]) => (
          <span
            key={from}
            className={styles.working}
            style={{ left: percent(from), width: percent(to - from) }}
          />
        ))}
        <span className={styles.now} style={{ left: percent(own) }} />
      </div>
      <div className={styles.hours} aria-hidden="true">
        {[0, 6, 12, 18, 24].map((mark) => (
          <span key={mark}>{clock(mark)}</span>
        ))}
      </div>
    </div>
  );
}

const isWeekend = (zone: string, now: number): boolean =>
  [0, 6].includes(weekdayAt(zone, now) ?? -1);
const isOpen = (zone: string, now: number, hour: number): boolean =>
  phase(zone, now, hour) === "working";

function phase(
  zone: string,
  now: number,
  hour: number,
): "working" | "early" | "late" | "weekend" {
  if (isWeekend(zone, now)) return "weekend";
  if (hour < OPENS) return "early";
  return hour < CLOSES ? "working" : "late";
}

const inReaderDay = (hour: number): number => ((hour % 24) + 24) % 24;
const percent = (hours: number): string => `${(hours / 24) * 100}%`;
const clock = (hour: number): string =>
  `${String(Math.floor(hour)).padStart(2, "0")}:${String(Math.round((hour % 1) * 60)).padStart(2, "0")}`;

/** Working hours on the reader's day: two pieces when they go over midnight. */
function spans(from: number, to: number): [number, number][] {
  if (from < to) return [[from, to]];
  return to === 0
    ? [[from, 24]]
    : [
        [0, to],
        [from, 24],
      ];
}
