/** A part of the schema: how much it is used and by whom; opened, every client of it. */
import { ChevronRight } from "@gravity-ui/icons";
import { Button, Icon, Label } from "@gravity-ui/uikit";
import { useId, useState } from "react";

import { type I18n, useI18n } from "../i18n";
import { Moment } from "../i18n/Moment";
import { type ClientUse, labelOf, nameOf, type Part } from "./parts";
import styles from "./SchemaPage.module.css";

const NAMED = 2;

interface Props {
  part: Part;
  onClient(client: string): void;
}

export function PartRow({ part, onClient }: Props) {
  const i18n = useI18n();
  const { t, format } = i18n;
  const [open, setOpen] = useState(false);
  const details = useId();
  const more = part.clientCount > 0 || part.deprecationReason != null;
  return (
    <>
      <tr className={styles.row} data-testid="schema-part" data-coordinate={part.coordinate} data-open={open}>
        <td className={styles.part}>
          {more ? (
            <button
              type="button"
              className={styles.opener}
              aria-expanded={open}
              aria-controls={details}
              onClick={() => setOpen(!open)}
            >
              <span className={styles.chevron} aria-hidden="true">
                <Icon data={ChevronRight} size={14} />
              </span>
              <Name part={part} />
            </button>
          ) : (
            <span className={styles.closed}>
              <Name part={part} />
            </span>
          )}
          {part.deprecationReason != null && (
            <Label theme="warning" size="xs" className={styles.deprecated}>
              {part.removalDate == null
                ? t("schema.deprecated")
                : t("schema.deprecated_until", { date: format.date(part.removalDate) })}
            </Label>
          )}
        </td>
        <td className={styles.number}>
          {part.operations > 0 ? (
            <>
              {format.number(part.operations)}
              <span className={styles.unit}> {t("schema.operations_unit")}</span>
            </>
          ) : (
            <span className={styles.nobody}>{t("schema.nobody")}</span>
          )}
        </td>
        <td className={styles.clients}>{clientsOf(i18n, part)}</td>
        <td className={styles.at}>{part.lastSeenAt != null && <Moment at={part.lastSeenAt} />}</td>
      </tr>
      {open && (
        <tr id={details} className={styles.details} data-testid="schema-clients">
          <td colSpan={4}>
            {part.deprecationReason != null && <p className={styles.reason}>{part.deprecationReason}</p>}
            <ul className={styles.uses}>
              {part.clients.map((use) => (
                <Use key={keyOf(use)} use={use} onClient={onClient} />
              ))}
            </ul>
            {part.clientCount > part.clients.length && (
              <p className={styles.rest}>
                {t("schema.more_clients", { count: part.clientCount - part.clients.length })}
              </p>
            )}
          </td>
        </tr>
      )}
    </>
  );
}

const keyOf = ({ name, version, principalKind, principal }: ClientUse): string =>
  [name, version, principalKind, principal].join(" ");

function Name({ part }: { part: Part }) {
  const { field, argument } = nameOf(part);
  return (
    <span className={styles.name}>
      <span className={argument === null ? undefined : styles.owner}>{field}</span>
      {argument}
    </span>
  );
}

/** The busiest by name, the rest by number. */
function clientsOf({ t }: I18n, { clients, clientCount }: Part): string {
  const names = [...new Set(clients.map(labelOf))].slice(0, NAMED);
  const rest = clientCount - clients.filter((use) => names.includes(labelOf(use))).length;
  return [...names, ...(rest > 0 ? [t("schema.and_more", { count: rest })] : [])].join(", ");
}

function Use({ use, onClient }: { use: ClientUse; onClient(client: string): void }) {
  const i18n = useI18n();
  const { t } = i18n;
  const label = labelOf(use);
  return (
    <li className={styles.use}>
      <Button view="flat" size="s" title={t("schema.only_client", { name: label })} onClick={() => onClient(label)}>
        <span className={styles.name}>{use.name === "*" ? t("schema.other_names") : label}</span>
      </Button>
      <span className={styles.holder}>{holderOf(i18n, use)}</span>
      <span className={styles.number}>{t("schema.operations_count", { count: use.operations })}</span>
      <span className={styles.at}>
        <Moment at={use.lastSeenAt} />
      </span>
    </li>
  );
}

/** Who vouches for the client: the name it gives itself proves nothing. */
function holderOf({ t }: I18n, { principalKind, principal }: ClientUse): string {
  if (principal == null) return t("schema.holder.web");
  switch (principalKind) {
    case "SERVICE":
      return t("schema.holder.SERVICE", { name: principal });
    case "PERSON":
      return t("schema.holder.PERSON", { name: principal });
    case "SESSION":
      return t("schema.holder.SESSION", { name: principal });
  }
}
