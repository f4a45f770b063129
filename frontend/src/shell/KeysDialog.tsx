/** `?`: what the keys do. */
import { Dialog, Hotkey } from "@gravity-ui/uikit";

import { useI18n } from "../i18n";
import type { MessageKey } from "../i18n/messages";
import styles from "./KeysDialog.module.css";

const KEYS: readonly (readonly [string, MessageKey])[] = [
  ["mod+k", "keys.palette"],
  ["/", "keys.search"],
  ["up", "keys.up"],
  ["down", "keys.down"],
  ["enter", "keys.enter"],
  ["a", "keys.actions"],
  ["esc", "keys.escape"],
  ["?", "keys.list"],
];

export default function KeysDialog({ onClose }: { onClose(): void }) {
  const { t } = useI18n();
  return (
    <Dialog open size="s" onClose={onClose} aria-label={t("keys.title")}>
      <Dialog.Header caption={t("keys.title")} />
      <Dialog.Body>
        <dl className={styles.keys} data-testid="keys">
          {KEYS.map(([key, text]) => (
            <div key={key} className={styles.row}>
              <dt>
                <Hotkey value={key} />
              </dt>
              <dd>{t(text)}</dd>
            </div>
          ))}
        </dl>
      </Dialog.Body>
    </Dialog>
  );
}
