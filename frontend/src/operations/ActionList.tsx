/** The ready-made actions by system, narrowed by typing; Enter opens the first. Only what one may run here is offered, some of it after a second factor. */
import { ChevronRight, ShieldKeyhole } from "@gravity-ui/icons";
import { Button, Icon, Skeleton, TextInput } from "@gravity-ui/uikit";
import { type Ref, useMemo, useState } from "react";

import { type Failure, failureText } from "../api/failure";
import type { Offer } from "../dashboard/actions";
import { useI18n } from "../i18n";
import styles from "./ActionList.module.css";
import { groupBySystem } from "./offers";

interface Props {
  offers: readonly Offer[];
  fetching: boolean;
  failure: Failure | null;
  filter: Ref<HTMLInputElement>;
  onChoose(offer: Offer): void;
  onRetry(): void;
}

export function ActionList({ offers, fetching, failure, filter, onChoose, onRetry }: Props) {
  const i18n = useI18n();
  const { t, pick } = i18n;
  const [typed, setTyped] = useState("");
  const groups = useMemo(() => groupBySystem(offers, typed, pick), [offers, typed, pick]);
  const waiting = fetching && offers.length === 0;
  const found = groups.reduce((count, group) => count + group.offers.length, 0);

  return (
    <div className={styles.list} data-testid="actions" aria-busy={waiting}>
      <h2 className={styles.title}>{t("actions.title")}</h2>
      <TextInput
        controlRef={filter}
        value={typed}
        onUpdate={setTyped}
        hasClear
        autoComplete={false}
        placeholder={t("actions.filter")}
        controlProps={{ "aria-label": t("actions.filter") }}
        onKeyDown={(event) => {
          const first = groups[0]?.offers[0];
          if (event.key === "Enter" && first !== undefined) onChoose(first);
        }}
        qa="actions-filter"
      />
      <p className="okno-visually-hidden" role="status">
        {typed === "" ? "" : t("actions.found", { count: found })}
      </p>
      {waiting && Array.from({ length: 3 }, (_, index) => <Skeleton key={index} style={{ height: 32 }} />)}
      {groups.map((group) => (
        <section key={group.source} aria-label={group.title}>
          <h3 className={styles.system}>{group.title}</h3>
          <ul>
            {group.offers.map((offer) => (
              <li key={offer.id}>
                <button
                  type="button"
                  className={styles.action}
                  onClick={() => onChoose(offer)}
                  data-testid={`action-${offer.id}`}
                >
                  <span>{pick(offer.title)}</span>
                  {offer.secondFactor && (
                    <span title={t("step_up.title")} data-testid="wants-second-factor">
                      <Icon data={ShieldKeyhole} size={14} />
                      <span className="okno-visually-hidden">{t("step_up.title")}</span>
                    </span>
                  )}
                  <Icon data={ChevronRight} size={14} />
                </button>
              </li>
            ))}
          </ul>
        </section>
      ))}
      {failure !== null && (
        <div className={styles.note} role="alert">
          <p>{failureText(i18n, failure.code)}</p>
          <Button onClick={onRetry}>{t("common.retry")}</Button>
        </div>
      )}
      {!waiting && failure === null && found === 0 && (
        <p className={styles.note}>
          {offers.length === 0 ? t("actions.none") : t("actions.not_found", { text: typed })}
        </p>
      )}
    </div>
  );
}
