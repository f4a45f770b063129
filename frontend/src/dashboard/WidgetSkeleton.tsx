/** A widget on its way, in the geometry it will have. */
import { Skeleton } from "@gravity-ui/uikit";

import { useI18n } from "../i18n";
import type { Manifest } from "./manifest";
import styles from "./WidgetSkeleton.module.css";

export function WidgetSkeleton({ manifest }: { manifest: Manifest }) {
  const { t } = useI18n();
  // A card is h × 28 − 12 px high; 46 of them are its header and edges, a line takes 24.
  const room = Math.max(1, Math.floor((manifest.size.h * 28 - 58) / 24));
  const lines = manifest.view === "facts" ? Math.min(manifest.fields.length, room) : room;
  return (
    <div className={styles.lines} role="status" aria-label={t("common.loading")}>
      {Array.from({ length: lines }, (_, index) => (
        <div key={index} className={styles.line}>
          <Skeleton className={styles.bar} style={{ width: `${50 + ((index * 37) % 40)}%` }} />
          <Skeleton className={styles.bar} style={{ width: `${35 + ((index * 53) % 55)}%` }} />
        </div>
      ))}
    </div>
  );
}
