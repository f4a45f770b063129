/** Says that a new version is out, over whatever is open, and leaves when to reload to who may be in the midst of something. */
import { ArrowRotateRight } from "@gravity-ui/icons";
import { Button, Icon } from "@gravity-ui/uikit";

import { useI18n } from "../i18n";
import styles from "./OutdatedBar.module.css";
import { useOutdated } from "../api/updated";

export function OutdatedBar() {
  const { t } = useI18n();
  const outdated = useOutdated();
  return (
    <div role="status" className={styles.place}>
      {outdated && (
        <p className={styles.bar} data-testid="outdated-bar">
          <span>{t("page.outdated.bar")}</span>
          <Button view="action" onClick={() => window.location.reload()}>
            <Icon data={ArrowRotateRight} size={14} />
            {t("page.outdated.reload")}
          </Button>
        </p>
      )}
    </div>
  );
}
