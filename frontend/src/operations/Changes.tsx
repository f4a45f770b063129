/** What becomes what, by system: before → after; of lists only what comes and goes. */
import { ArrowRight } from "@gravity-ui/icons";
import { Icon } from "@gravity-ui/uikit";

import type { ChangeLineFragment } from "../generated/graphql";
import { useI18n } from "../i18n";
import { isNothing, plainText } from "../views/Value";
import styles from "./Changes.module.css";
import { groupChanges, listDifference } from "./difference";

const MOMENT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/;

export function Changes({ changes }: { changes: readonly ChangeLineFragment[] }) {
  const { t, pick } = useI18n();
  if (changes.length === 0) return <p className={styles.nothing}>{t("changes.none")}</p>;
  return (
    <div className={styles.changes} data-testid="changes">
      {groupChanges(changes).map((group) => (
        <section key={group.source} className={styles.system} aria-label={pick(group.sourceTitle) || group.source}>
          <h4 className={styles.source}>{pick(group.sourceTitle) || group.source}</h4>
          {group.changes.map((change, index) => (
            <div key={index} className={styles.change}>
              <div className={styles.title}>{pick(change.title)}</div>
              <Difference before={change.before} after={change.after} />
            </div>
          ))}
        </section>
      ))}
    </div>
  );
}

function Difference({ before, after }: { before: unknown; after: unknown }) {
  const i18n = useI18n();
  const { t, format } = i18n;
  const lists = listDifference(before, after);
  if (lists !== null) {
    return (
      <ul className={styles.list}>
        {lists.removed.map((item) => (
          <li key={`- ${item}`} className={styles.removed}>
            <del>{t("changes.removed", { item })}</del>
          </li>
        ))}
        {lists.added.map((item) => (
          <li key={`+ ${item}`} className={styles.added}>
            <ins>{t("changes.added", { item })}</ins>
          </li>
        ))}
        {lists.kept > 0 && <li className={styles.kept}>{t("changes.kept", { count: lists.kept })}</li>}
      </ul>
    );
  }
  const text = (value: unknown) => {
    if (isNothing(value)) return t("common.nothing");
    return typeof value === "string" && MOMENT.test(value) ? format.dateTime(value) : plainText(value, i18n);
  };
  return (
    <div className={styles.pair}>
      <del className={styles.before}>{text(before)}</del>
      <Icon data={ArrowRight} size={14} />
      <span className="okno-visually-hidden">{t("changes.becomes")}</span>
      <ins className={styles.after}>{text(after)}</ins>
    </div>
  );
}
