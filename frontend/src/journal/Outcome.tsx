/** How it ended, in a word and a sign. */
import { CircleCheck, CircleQuestion, CircleXmark } from "@gravity-ui/icons";
import { Icon } from "@gravity-ui/uikit";

import { useI18n } from "../i18n";
import styles from "./JournalPage.module.css";

const SIGNS = { succeeded: CircleCheck, failed: CircleXmark, unknown: CircleQuestion } as const;

export function Outcome({ record }: { record: { outcome?: string | null } }) {
  const { t } = useI18n();
  const outcome = record.outcome?.toLowerCase();
  if (outcome !== "succeeded" && outcome !== "failed" && outcome !== "unknown") return null;
  return (
    <span className={styles.outcome} data-outcome={outcome}>
      <Icon data={SIGNS[outcome]} size={14} />
      {t(`journal.outcome.${outcome}`)}
    </span>
  );
}
