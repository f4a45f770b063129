/** Finding an employee as one types, without leaving the keyboard. */
import { Magnifier } from "@gravity-ui/icons";
import { Button, Icon, Skeleton, TextInput } from "@gravity-ui/uikit";
import { useEffect, useRef, useState } from "react";
import { useLocation, useSearchParams } from "wouter";

import type { Gate } from "../api/gate";
import { useI18n } from "../i18n";
import { DeniedFace, Face, FailedFace } from "../shell/Faces";
import { useListKeys } from "../shell/keyboard";
import { employeePath } from "../shell/pages";
import { Marked } from "./Marked";
import styles from "./SearchPage.module.css";
import { AbroadChip, ProtectedChip, StateChip } from "./StateChip";
import { type Found, isSearchable, type Search, useSearch } from "./useSearch";

const FIRST = 20;
const MORE = 100;

export default function SearchPage() {
  const { t } = useI18n();
  const [, navigate] = useLocation();
  const [parameters, setParameters] = useSearchParams();
  const [typed, setTyped] = useState(parameters.get("q") ?? "");
  const [first, setFirst] = useState(FIRST);
  const search = useSearch(typed, first);
  const field = useRef<HTMLInputElement>(null);
  const waitingFor = search.waiting ? typed : null;
  const keys = useListKeys(search.people.length, search.text, "found", waitingFor, (index) => {
    const person = search.people[index];
    if (person) navigate(employeePath(person.id));
  });

  useEffect(() => field.current?.focus(), []);
  const update = (value: string) => {
    setTyped(value);
    setFirst(FIRST);
    setParameters(value === "" ? {} : { q: value }, { replace: true });
  };

  return (
    <div className={styles.page}>
      <h1 className="okno-visually-hidden">{t("page.people")}</h1>
      <div className={styles.field} data-search-field>
        <TextInput
          controlRef={field}
          size="xl"
          value={typed}
          hasClear
          onUpdate={update}
          onKeyDown={(event) => (event.key === "Escape" ? update("") : keys.onKeyDown(event))}
          placeholder={t("search.placeholder")}
          autoComplete={false}
          startContent={
            <span className={styles.magnifier}>
              <Icon data={Magnifier} size={18} />
            </span>
          }
          controlProps={{ ...keys.field, "aria-label": t("search.label"), spellCheck: false, maxLength: 200 }}
          qa="search-input"
        />
      </div>
      <p className={styles.status} role="status" aria-live="polite" data-testid="search-status">
        <SearchStatus search={search} typed={typed} />
      </p>
      <Results search={search} typed={typed} keys={keys} />
      {search.hasMore && !search.waiting && (
        <div className={styles.more}>
          {first < MORE ? (
            <Button size="l" onClick={() => setFirst(MORE)}>
              {t("search.more")}
            </Button>
          ) : (
            <p>{t("search.refine")}</p>
          )}
        </div>
      )}
    </div>
  );
}

function SearchStatus({ search, typed }: { search: Search; typed: string }) {
  const { t } = useI18n();
  if (search.waiting && search.people.length === 0) return t("search.waiting");
  if (search.failure !== null || !isSearchable(typed) || search.text === "") return null;
  const count = search.people.length;
  return search.hasMore ? t("search.found_more", { count }) : t("search.found", { count });
}

function Results({ search, typed, keys }: { search: Search; typed: string; keys: ReturnType<typeof useListKeys> }) {
  const { t } = useI18n();
  if (!isSearchable(typed)) return <Hint />;
  if (search.failure !== null) {
    return (
      <FailedFace
        title={t("search.failed.title")}
        text={t("search.failed.text")}
        failure={search.failure}
        onRetry={search.retry}
      />
    );
  }
  const denial = search.denied.denialOf("employees");
  if (denial !== null) return <DeniedFace title={t("search.denied")} denial={denial} />;
  if (search.people.length === 0) {
    if (search.waiting) return <Waiting />;
    return (
      <Face
        testId="no-results"
        icon={Magnifier}
        title={t("search.nobody.title", { text: typed.trim() })}
        text={t("search.nobody.text")}
      />
    );
  }
  return (
    <>
      <div className={styles.head} aria-hidden="true">
        <span>{t("person.name")}</span>
        <span>{t("person.login")}</span>
        <span>{t("person.work_phone")}</span>
        <span>{t("person.department")}</span>
        <span>{t("person.place")}</span>
        <span>{t("person.state")}</span>
      </div>
      <div
        className={styles.results}
        role="listbox"
        id="found"
        aria-label={t("search.results")}
        aria-busy={search.waiting}
        data-testid="search-results"
      >
        {search.people.map((person, index) => (
          <a
            key={person.id}
            className={styles.row}
            href={employeePath(person.id)}
            data-testid="search-result"
            {...keys.option(index)}
          >
            <FoundRow person={person} query={search.text} gate={search.gate} />
          </a>
        ))}
      </div>
    </>
  );
}

function FoundRow({ person, query, gate }: { person: Found; query: string; gate: Gate }) {
  const { t, format } = useI18n();
  const found = { query, gate };
  const place = [person.city, person.country && format.country(person.country)].filter(Boolean).join(", ");
  return (
    <>
      <span className={styles.name}>
        <span className={styles.main}>
          <Marked
            text={person.displayName ?? (person.heldAbroad ? person.personnelNumber : null) ?? t("person.nameless")}
            field={person.displayName ? "displayName" : "personnelNumber"}
            {...found}
          />
        </span>
        {person.latinName && person.latinName !== person.displayName && (
          <span className={styles.second}>
            <Marked text={person.latinName} field="latinName" {...found} />
          </span>
        )}
      </span>
      <span className={styles.login} data-empty={!person.login}>
        <Marked text={person.login} field="login" {...found} />
      </span>
      <span className={styles.phone} data-empty={!person.workPhone}>
        <Marked text={person.workPhone} field="workPhone" phone {...found} />
      </span>
      <span className={styles.department} title={person.department ?? undefined}>
        <span className={styles.main}>{person.department}</span>
        <span className={styles.second}>{person.position}</span>
      </span>
      <span className={styles.place}>{place}</span>
      <span className={styles.chips}>
        {person.state && <StateChip state={person.state} />}
        {person.protected === true && <ProtectedChip />}
        {person.heldAbroad === true && <AbroadChip country={person.country} />}
      </span>
    </>
  );
}

function Hint() {
  const { t } = useI18n();
  const ways = ["name", "latin", "login", "phone"] as const;
  return (
    <div className={styles.hint} data-testid="search-hint">
      <h2>{t("search.hint.title")}</h2>
      <dl>
        {ways.map((way) => (
          <div key={way}>
            <dt>{t(`search.hint.${way}`)}</dt>
            <dd>{t(`search.hint.${way}.example`)}</dd>
          </div>
        ))}
      </dl>
      <p>{t("search.hint.keys")}</p>
    </div>
  );
}

function Waiting() {
  return (
    <div className={styles.results} aria-hidden="true">
      {Array.from({ length: 6 }, (_, index) => (
        <div key={index} className={styles.row}>
          <Skeleton style={{ height: 16, width: "70%" }} />
          <Skeleton style={{ height: 16, width: "60%" }} />
          <Skeleton style={{ height: 16, width: "80%" }} />
          <Skeleton style={{ height: 16, width: "60%" }} />
        </div>
      ))}
    </div>
  );
}
