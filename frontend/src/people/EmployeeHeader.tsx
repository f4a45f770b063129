/** Who it is: names in both alphabets, login, position, department → managers, office, time there, state. */
import { Clock, MapPin } from "@gravity-ui/icons";
import { Icon } from "@gravity-ui/uikit";
import { Fragment, type ReactNode } from "react";
import { useQuery } from "urql";

import type { Gate } from "../api/gate";
import { useNow } from "../clock";
import { EmployeeDatesDocument, type EmployeeHeaderQuery } from "../generated/graphql";
import { useI18n } from "../i18n";
import { useRefresh } from "../operations/changes";
import { CopyText } from "../shell/CopyText";
import { employeePath } from "../shell/pages";
import { Locked } from "../views/Locked";
import { Masked } from "../views/Masked";
import { hueOf, initialsOf } from "./avatar";
import styles from "./EmployeeHeader.module.css";
import { placeOf } from "./place";
import { AbroadChip, ProtectedChip, StateChip } from "./StateChip";
import { differenceMinutes, readerTimeZone, signedHours } from "./time-zone";

type Employee = NonNullable<EmployeeHeaderQuery["employee"]>;

export function EmployeeHeader({ employee, gate }: { employee: Employee; gate: Gate }) {
  const { t, format } = useI18n();
  const name =
    employee.displayName ??
    employee.latinName ??
    employee.login ??
    (employee.heldAbroad ? employee.personnelNumber : null) ??
    t("person.nameless");
  const nameField = employee.displayName ? "displayName" : employee.latinName ? "latinName" : "login";
  const hidden = gate.denialOf("employee.login");
  const place = placeOf(employee.office, employee.city, employee.country && format.country(employee.country));
  return (
    <header className={styles.header} data-testid="employee-header">
      <Avatar name={name} seed={employee.id} />
      <div className={styles.who}>
        <div className={styles.names}>
          <h1 className={styles.name}>
            <Shown path={nameField} value={name} gate={gate} />
          </h1>
          {employee.latinName && employee.latinName !== name && (
            <span className={styles.latin}>
              <Shown path="latinName" value={employee.latinName} gate={gate} />
            </span>
          )}
          {employee.login && (
            <span className={styles.login} data-testid="login">
              <Shown path="login" value={employee.login} gate={gate}>
                <CopyText text={employee.login} />
              </Shown>
            </span>
          )}
          {!employee.login && hidden !== null && (
            <span className={styles.hidden}>
              {t("person.login")}
              <Locked denial={hidden} />
            </span>
          )}
          <State employee={employee} />
          {employee.protected === true && <ProtectedChip size="s" />}
          {employee.heldAbroad === true && <AbroadChip country={employee.country} size="s" />}
        </div>
        {(employee.position || employee.department) && (
          <p className={styles.job}>
            <span className={employee.department ? styles.position : undefined}>
              <Shown path="position" value={employee.position} gate={gate} />
            </span>
            <span>
              <Shown path="department" value={employee.department} gate={gate} />
            </span>
            <Managers employee={employee} />
          </p>
        )}
        <p className={styles.place}>
          {place !== "" && (
            <span className={styles.fact}>
              <Icon data={MapPin} size={14} />
              {place}
            </span>
          )}
          {employee.timeZone && <LocalTime timeZone={employee.timeZone} />}
        </p>
      </div>
    </header>
  );
}

/** A text of the employee, or its mask. `children`: how it is shown when it is whole. */
function Shown({
  path,
  value,
  gate,
  children,
}: {
  path: string;
  value: string | null | undefined;
  gate: Gate;
  children?: ReactNode;
}) {
  const mask = gate.maskOf(`employee.${path}`, value);
  return mask === null ? <>{children ?? value}</> : <Masked value={value} mask={mask} />;
}

function Avatar({ name, seed }: { name: string; seed: string }) {
  return (
    <span className={styles.avatar} aria-hidden="true" style={{ "--hue": hueOf(seed) } as React.CSSProperties}>
      {initialsOf(name)}
    </span>
  );
}

const DATED = new Set(["ON_LEAVE", "LEAVING", "DISMISSED"]);

function State({ employee }: { employee: Employee }) {
  const dated = employee.state != null && DATED.has(employee.state);
  const [{ data }, again] = useQuery({
    query: EmployeeDatesDocument,
    variables: { employee: employee.id },
    pause: !dated,
  });
  useRefresh(again, dated);
  if (!employee.state) return null;
  const dates = data?.employee?.hr;
  return (
    <StateChip
      state={employee.state}
      until={employee.state === "ON_LEAVE" ? dates?.leaveUntil : dates?.lastDay}
      size="s"
    />
  );
}

/** The chain upwards, nearest first; the far end folds away on narrow screens by wrapping. */
function Managers({ employee }: { employee: Employee }) {
  const { t } = useI18n();
  if (!employee.managers || employee.managers.length === 0) return null;
  return (
    <span className={styles.managers} aria-label={t("person.managers")}>
      {employee.managers.map((manager) => (
        <Fragment key={manager.id}>
          <span aria-hidden="true" className={styles.arrow}>
            {"→"}
          </span>
          <a href={employeePath(manager.id)} title={manager.position ?? undefined}>
            {manager.displayName ?? t("person.nameless")}
          </a>
        </Fragment>
      ))}
    </span>
  );
}

function LocalTime({ timeZone }: { timeZone: string }) {
  const { t, format } = useI18n();
  const now = useNow();
  const difference = differenceMinutes(timeZone, readerTimeZone(), now);
  if (difference === null) return null;
  return (
    <span className={styles.fact} title={timeZone} data-testid="local-time">
      <Icon data={Clock} size={14} />
      {difference === 0
        ? t("person.time_same", { time: format.time(now, timeZone) })
        : t("person.time", { time: format.time(now, timeZone), hours: signedHours(difference) })}
    </span>
  );
}
