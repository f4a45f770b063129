/** Stock view `facts`: label and value, a line each; a lock or a mask where the policy took away the value or some of it. */
import type { WidgetProps } from "../dashboard/custom";
import { toneOf, valueAt } from "../dashboard/manifest";
import { useI18n } from "../i18n";
import styles from "./FactsView.module.css";
import { Locked } from "./Locked";
import { Masked } from "./Masked";
import { Value } from "./Value";

export function FactsView({ manifest, data, gate }: WidgetProps) {
  const { pick } = useI18n();
  return (
    <dl className={styles.facts}>
      {manifest.fields.map((field) => {
        const denial = gate.denialOf(field.path);
        const value = denial === null ? valueAt(data, field.path) : null;
        const mask = gate.maskOf(field.path, value);
        return (
          <div
            key={field.path}
            className={styles.fact}
            data-field={field.path}
            data-tone={toneOf(field, value) ?? undefined}
          >
            <dt className={styles.label}>{pick(field.label)}</dt>
            <dd className={styles.value}>
              {denial !== null ? (
                <Locked denial={denial} />
              ) : mask !== null ? (
                <Masked value={value} mask={mask} />
              ) : (
                <Value value={value} field={field} />
              )}
            </dd>
          </div>
        );
      })}
    </dl>
  );
}
