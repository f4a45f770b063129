/** The widgets of a slot on the grid; each loads, fails and recovers by itself. */
import { Puzzle } from "@gravity-ui/icons";
import { useQuery } from "urql";

import { failureOf } from "../api/failure";
import { readGate } from "../api/gate";
import { useKept } from "../api/kept";
import { WidgetsDocument } from "../generated/graphql";
import { useI18n } from "../i18n";
import { DeniedFace, Face, FailedFace } from "../shell/Faces";
import { WidgetCard } from "./WidgetCard";
import styles from "./WidgetGrid.module.css";

export function WidgetGrid({ slot, employee }: { slot: string; employee: string }) {
  const { t } = useI18n();
  const [{ data, error, fetching, extensions }, again] = useQuery({ query: WidgetsDocument, variables: { slot } });
  const widgets = useKept(data?.widgets);
  if (widgets !== null) {
    if (widgets.length === 0) {
      return <Face icon={Puzzle} title={t("widgets.empty.title")} text={t("widgets.empty.text")} testId="no-widgets" />;
    }
    return (
      <div className={styles.grid} data-testid="widgets">
        {widgets.map((widget) => (
          <WidgetCard key={widget.id} widget={widget} employee={employee} />
        ))}
      </div>
    );
  }
  if (fetching) return <div className={styles.grid} aria-busy="true" />;
  const denial = readGate(extensions).denialOf("widgets");
  if (denial !== null) return <DeniedFace denial={denial} />;
  return (
    <FailedFace
      title={t("widgets.failed.title")}
      text={t("widgets.failed.text")}
      failure={error && failureOf(error)}
      onRetry={() => again({ requestPolicy: "network-only" })}
    />
  );
}
