/** Stock view `facts`: label and value, a line each; a lock where the policy took the value away. */
import { Lock } from "@gravity-ui/icons";
import { Icon } from "@gravity-ui/uikit";

import type { WidgetProps } from "../dashboard/custom";
import { valueAt } from "../dashboard/manifest";
import { useI18n } from "../i18n";
import styles from "./FactsView.module.css";
import { Value } from "./Value";

export function FactsView({ manifest, data, gate }: WidgetProps) {
  const { pick } = useI18n();
  return (
    <dl className={styles.facts}>
      {manifest.fields.map((field) => {
        const denial = gate.denialOf(field.path);
        return (
          <div key={field.path} className={styles.fact} data-field={field.path}>
            <dt className={styles.label}>{pick(field.label)}</dt>
            <dd className={styles.value}>
              {denial === null ? (
                <Value value={valueAt(data, field.path)} format={field.format} />
              ) : (
                <Locked reason={denial.reason} />
              )}
            </dd>
          </div>
        );
      })}
    </dl>
  );
}

export function Locked({ reason }: { reason: string | null }) {
  const { t } = useI18n();
  return (
    <span
      className={styles.locked}
      title={reason === null ? t("denied.field") : t("denied.reason", { reason })}
      data-testid="locked"
    >
      <Icon data={Lock} size={12} />
      {t("denied.field")}
    </span>
  );
}
