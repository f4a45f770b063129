"use strict";

const byId = (id) => document.getElementById(id);

async function csrfToken() {
  const session = await fetch("/auth/session", { headers: { Accept: "application/json" } });
  return (await session.json()).csrfToken;
}

async function run() {
  const status = byId("status");
  const answer = byId("answer");
  let variables;
  try {
    variables = JSON.parse(byId("variables").value || "{}");
  } catch (error) {
    status.textContent = `Variables are not JSON: ${error.message}`;
    return;
  }
  status.textContent = "…";
  const started = performance.now();
  try {
    const headers = { "Content-Type": "application/json", Accept: "application/graphql-response+json" };
    const token = await csrfToken();
    if (token) headers["X-Okno-CSRF"] = token;
    const response = await fetch("/graphql", {
      method: "POST",
      headers,
      body: JSON.stringify({ query: byId("query").value, variables }),
    });
    const body = await response.json();
    status.textContent = `${response.status} · ${Math.round(performance.now() - started)} ms`;
    answer.textContent = JSON.stringify(body, null, 2);
  } catch (error) {
    status.textContent = `No answer: ${error.message}`;
  }
}

byId("run").addEventListener("click", run);
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
    event.preventDefault();
    run();
  }
});
