// Prints, as JSON, what @openrouter/sdk read of the lists of a gateway: node list_models.mjs SERVER_URL KEY
import { OpenRouter } from "@openrouter/sdk";

const MAX_PAGES = 100;
const [serverURL, apiKey] = process.argv.slice(2);
const client = new OpenRouter({ serverURL, apiKey });

const ids = [];
let total = null;
let pages = 0;
for await (const page of await client.models.list({ limit: 500 })) {
  ids.push(...page.result.data.map((row) => row.id));
  total = page.result.totalCount;
  if (++pages === MAX_PAGES) throw new Error("the list has no end");
}
const all = await client.models.list({ outputModalities: "all", limit: 1000 });
const places = await client.endpoints.list({ author: "alpha", slug: "whole" });
const counted = await client.models.count();
const providers = await client.providers.list();

console.log(JSON.stringify({
  rows: ids.length,
  different: new Set(ids).size,
  total,
  pages,
  all: all.result.totalCount,
  count: counted.data.count,
  endpoints: places.data.endpoints.length,
  providers: providers.data.map((each) => each.slug),
  whole: all.result.data.find((row) => row.id === "alpha/whole").pricing.prompt,
}));
