// The centre's document with what pages use ahead of their routes (ahead.json). Goes away with that file.
import { readFileSync, writeFileSync } from "node:fs";

const read = (file) => JSON.parse(readFileSync(new URL(file, import.meta.url), "utf8"));
const document = read("openapi.json");
const ahead = read("ahead.json");
for (const [path, operations] of Object.entries(ahead.paths)) document.paths[path] = { ...document.paths[path], ...operations };
Object.assign(document.components.schemas, ahead.components.schemas);
writeFileSync(new URL("document.json", import.meta.url), JSON.stringify(document));
