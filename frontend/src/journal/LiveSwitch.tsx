/** Whether new records come by themselves, and the way to hold them back while one reads. */
import { Pause, Play } from "@gravity-ui/icons";
import { Button, Icon } from "@gravity-ui/uikit";

import type { LiveState } from "../api/live";
import { useI18n } from "../i18n";
import styles from "./JournalPage.module.css";

interface Props {
  state: LiveState;
  paused: boolean;
  onPause(pause: boolean): void;
}

export function LiveSwitch({ state, paused, onPause }: Props) {
  const { t } = useI18n();
  if (state === "stopped") {
    return (
      <span className={styles.live} title={t("journal.live.stopped.hint")} data-testid="live" data-state={state}>
        <span className={styles.dot} aria-hidden="true" />
        {t("journal.live.stopped")}
      </span>
    );
  }
  return (
    <Button
      view="flat"
      onClick={() => onPause(!paused)}
      title={t(paused ? "journal.live.resume" : "journal.live.pause")}
      data-testid="live"
      data-state={paused ? "paused" : state}
    >
      <span className={styles.live}>
        <span className={styles.dot} data-on={!paused && state === "live"} aria-hidden="true" />
        {t(paused ? "journal.live.paused" : `journal.live.${state}`)}
        <Icon data={paused ? Play : Pause} size={12} />
      </span>
    </Button>
  );
}
