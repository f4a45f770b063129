/** A failed request in the reader's words: by the code the server gave, else by how it failed. */
import type { CombinedError } from "urql";

import type { I18n } from "../i18n";

export interface Failure {
  code: string;
  requestId: string | null;
}

export function failureOf(error: CombinedError): Failure {
  if (error.networkError && error.graphQLErrors.length === 0) return { code: "NETWORK", requestId: null };
  const extensions = error.graphQLErrors[0]?.extensions ?? {};
  const { code, requestId } = extensions as { code?: unknown; requestId?: unknown };
  return {
    code: typeof code === "string" ? code : "INTERNAL",
    requestId: typeof requestId === "string" ? requestId : null,
  };
}

const NOT_THERE = new Set(["NOT_FOUND", "INVALID_INPUT", "BAD_USER_INPUT"]);

/** Whether a request for one object failed because there is none: an id that is no id names nothing either. */
export const isNotThere = (error: CombinedError): boolean => NOT_THERE.has(failureOf(error).code);

export const failureText = ({ t, find }: I18n, code: string): string =>
  find(`error.${code}`) ?? t("error.other", { code });
