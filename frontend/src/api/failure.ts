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

export const failureText = ({ t, find }: I18n, code: string): string =>
  find(`error.${code}`) ?? t("error.other", { code });
