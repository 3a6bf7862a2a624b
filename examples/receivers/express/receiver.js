// This is a receiver of webhooks in Express. Each profile has a path; keep the lines of the profile that your webhook has.
// The profile `slack` needs no receiver: its messages go to Slack.
//
//   npm ci
//   STANDARD_SECRETS="whsec_…" PORT=3000 node receiver.js      takes webhooks of the profile `standard` at /standard

import { createHmac, timingSafeEqual } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import express from "express";
import { Webhook } from "standardwebhooks";

// Each profile writes the id, the type and the data of an event in its own way. Two of them have the event's id only in the
// header `webhook-id`, and `spektr` has a list of events.
const eventsOf = {
  standard: (body, webhookId) => [{ id: webhookId, type: body.type, data: body.data }],
  spektr: (body) => body.results.map((event) => ({ id: event.id, type: event.eventType, data: event.data })),
  "spektr-v1": (body) => [{ id: body.id, type: body.type, data: body.data }],
  spectra: (body, webhookId) => [{ id: webhookId, type: body.event, data: body.data }],
  dataspike: (body) => [{ id: body.id, type: body.event_type, data: body.payload }],
  cloudevents: (body) => [{ id: body.id, type: body.type, data: body.data }],
};

/**
 * Reads the secrets of a webhook, which are separated by spaces. During a rotation give the new one and the old one: a request is
 * good if it was signed with any of them. Without a secret every request is refused.
 */
function secretsOf(profile) {
  const name = `${profile.toUpperCase().replace("-", "_")}_SECRETS`;
  const secrets = (process.env[name] ?? "").split(" ").filter(Boolean);
  for (const secret of secrets) new Webhook(secret); // A malformed secret ends the program here, not at the first request.
  return secrets;
}

/** The signature of Standard Webhooks covers the id, the time and the body. The library refuses a time 5 minutes off. */
function hasStandardSignature(secret, headers, rawBody) {
  try {
    new Webhook(secret).verify(rawBody, headers);
    return true;
  } catch {
    return false;
  }
}

/** Spectra's signature covers the body alone, so it can't tell an old request that someone sends again. */
function hasSpectraSignature(secret, headers, rawBody) {
  const expected = Buffer.from("sha256=" + createHmac("sha256", secret).update(rawBody).digest("hex"));
  const given = Buffer.from(headers["x-webhook-signature"] ?? "");
  return given.length === expected.length && timingSafeEqual(given, expected);
}

// This memory is lost with the process. A table whose key is the event's id is better: store the event there before you answer,
// and work from the table.
const seen = new Set();

function isNew(key) {
  if (seen.has(key)) return false;
  seen.add(key);
  if (seen.size > 100_000) seen.delete(seen.values().next().value); // The oldest one goes.
  return true;
}

async function work(profile, events) {
  for (const event of events) {
    await setTimeout(50); // Your work goes here.
    console.log(profile, JSON.stringify(event)); // JSON.parse has rounded integers beyond 2^53.
  }
}

const app = express();
// The signature is over the bytes that were sent. express.json() would parse them first, and writing the result as JSON again does
// not give the same bytes. The type is any, because CloudEvents come as `application/cloudevents+json`.
const raw = express.raw({ type: "*/*", limit: "2mb" });

for (const [profile, read] of Object.entries(eventsOf)) {
  const secrets = secretsOf(profile);
  // Whoever may choose takes the standard signature for `spectra` too, as every request has it: an old secret then holds until the
  // overlap of a rotation ends, and nobody can send an old request again.
  const hasSignature = profile === "spectra" ? hasSpectraSignature : hasStandardSignature;

  app.post(`/${profile}`, raw, (request, response) => {
    const rawBody = request.body ?? Buffer.alloc(0);
    if (!secrets.some((secret) => hasSignature(secret, request.headers, rawBody))) return response.sendStatus(401);

    const events = read(JSON.parse(rawBody), request.get("webhook-id"));
    const fresh = events.filter(({ id }) => isNew(`${profile} ${id}`));
    // Several profiles count nothing but 200 as a success. The work comes after the answer, which has to come within 5 seconds.
    response.sendStatus(200);
    work(profile, fresh).catch(console.error);
  });
}

app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1");
