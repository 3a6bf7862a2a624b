// Uses the types of openapi-typescript as a user does. It has to compile under `strict`, and to work.

import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const BOUND_MS = 60_000;

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

const inbox = setting("INBOX");
const client = createClient<paths>({
  baseUrl: setting("API"),
  headers: { Authorization: `Bearer ${setting("KEY")}` },
});

function data<A extends { success: true; data: unknown }>(
  answer: { data?: A | undefined; error?: unknown; response: Response },
): A["data"] {
  if (answer.data === undefined) throw new Error(`${answer.response.status}: ${JSON.stringify(answer.error)}`);
  return answer.data.data;
}

function hold(what: string, holds: boolean): asserts holds {
  if (!holds) throw new Error(`this does not hold: ${what}`);
}

async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + BOUND_MS;
  while (!(await look())) {
    hold(what, Date.now() < end);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** All items of a list, two a page. */
async function all<T>(page: (query: { limit: number; cursor?: string }) => Promise<{ items: T[]; next: string | null }>) {
  const items: T[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const answered: { items: T[]; next: string | null } = await page(cursor ? { limit: 2, cursor } : { limit: 2 });
    items.push(...answered.items);
    cursor = answered.next;
  }
  return items;
}

const schema = { type: "object", required: ["total"], properties: { total: { type: "number" } } };
const type = data(
  await client.PUT("/api/v1/event-types/{name}", {
    params: { path: { name: "typescript.paid" } },
    body: { schema, sample: { total: 1 } },
  }),
);
hold("a type keeps its schema", JSON.stringify(type.schema) === JSON.stringify(schema));

const since = new Date(Date.now() - 60_000).toISOString();
const body = { url: `${inbox}/inbox/typescript`, events: ["typescript.*"] };
const own = data(await client.POST("/api/v1/webhooks", { body }));
hold("a registration shows the secret", own.secret !== undefined && own.timeoutSeconds === 5);
const slack = data(
  await client.POST("/api/v1/webhooks", {
    body: { url: `${inbox}/inbox/slack`, events: ["alert_created"], method: "slack" },
  }),
);
hold("the method chooses the profile", slack.profile === "slack" && slack.format === "slack");

const refused = await client.POST("/api/v1/webhooks", { body: { url: "ftp://example.com", events: ["*"] } });
hold("a failure has a code", refused.response.status === 422 && refused.error !== undefined);
hold("the code is typed", "error" in refused.error && refused.error.error.code === "invalid_url");

const paid = { type: "typescript.paid", data: { orderId: 1042, total: 499 } };
const tried = data(await client.POST("/api/v1/events", { params: { query: { dry_run: true } }, body: paid }));
hold("a dry run publishes nothing", "webhooks" in tried);
const forecast = tried.webhooks.find(({ webhook }) => webhook === own.id);
hold("a dry run knows who gets an event", forecast?.outcome === "now");

const one = data(await client.POST("/api/v1/events", { body: paid }));
hold("one event is answered by itself", "id" in one);
const many = data(
  await client.POST("/api/v1/events", {
    params: { header: { "Idempotency-Key": `many-${Date.now()}` } },
    body: { events: [1, 2].map((total) => ({ type: "typescript.paid", data: { total, lines: [{ total }] } })) },
  }),
);
hold("several events are answered in a list", "events" in many && many.events.length === 2);

const webhooks = await all(async (query) => data(await client.GET("/api/v1/webhooks", { params: { query } })));
hold("every webhook is on a page", [own.id, slack.id].every((id) => webhooks.some((webhook) => webhook.id === id)));

const path = { id: own.id };
const deliveries = () =>
  all(async (query) => data(await client.GET("/api/v1/webhooks/{id}/deliveries", { params: { path, query } })));
await until("three events are delivered", async () => {
  const delivered = await deliveries();
  return delivered.filter((delivery) => delivery.status === "succeeded").length === 3;
});

const [delivery] = await deliveries();
hold("the history has a delivery", delivery !== undefined);
const again = data(
  await client.POST("/api/v1/webhooks/{id}/deliveries/{delivery}/replay", {
    params: { path: { ...path, delivery: delivery.id } },
  }),
);
hold("a replay names its delivery", again.replayOf === delivery.id);
await until("what was replayed is delivered", async () =>
  (await deliveries()).some(({ id, status }) => id === again.id && status === "succeeded"),
);

const job = data(await client.POST("/api/v1/webhooks/{id}/replay", { params: { path }, body: { since } }));
hold("what failed is replayed unless asked otherwise", job.selection === "failed");
await until("the replay is over", async () => {
  const now = data(await client.GET("/api/v1/webhooks/{id}/replay/{job}", { params: { path: { ...path, job: job.id } } }));
  return now.status === "done";
});

const event = data(await client.GET("/api/v1/events/{id}", { params: { path: { id: one.id } } }));
hold("an event has its data", event.data["orderId"] === 1042);
for (const { id } of [own, slack]) {
  hold("it is removed", data(await client.DELETE("/api/v1/webhooks/{id}", { params: { path: { id } } })).deleted);
}
console.log("a TypeScript client registers, publishes, pages and replays");
