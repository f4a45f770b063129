// The load generator: one closed loop after the other, each target in turn, round after round; a line of JSON for each.
// stdin: {"targets": [{"name", "pid", "url", "headers", "body"}], "rounds", "seconds", "connections"}
import { readFileSync } from "node:fs";
import autocannon from "autocannon";

const TICKS_PER_SECOND = 100;
const plan = JSON.parse(readFileSync(0, "utf8"));

// Seconds of processor time that a server has used, threads of its runtime included; Linux alone tells.
const processorSeconds = (pid) => {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return Number.NaN;
  }
};

for (let round = 0; round < plan.rounds; round += 1) {
  // Another order each round, so that nobody always comes after the same neighbour.
  const first = round % plan.targets.length;
  for (const target of [...plan.targets.slice(first), ...plan.targets.slice(0, first)]) {
    const before = processorSeconds(target.pid);
    const result = await autocannon({
      url: target.url,
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json", ...target.headers },
      body: target.body,
      connections: plan.connections,
      duration: plan.seconds,
    });
    const line = {
      name: target.name,
      round,
      perSecond: result["2xx"] / result.duration,
      processor: (processorSeconds(target.pid) - before) / result["2xx"],
      failed: result.non2xx + result.errors + result.timeouts,
    };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}
