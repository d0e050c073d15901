// SPDX-License-Identifier: Apache-2.0
// Holds requests against the schemas that AWS's own SQS client is made from.
//
//     node validate_sqs.mjs NODE_MODULES < requests     one JSON {"action", "body"} a line
//
// Prints a line for each violation and exits 1 if there was one; the last line counts requests.
//
// A schema is [kind, namespace, name, traits, members, types, required]: kind 3 is a structure whose
// first `required` members must be there; a type is 0 (text), 1 (number), 64|t (list of t), 128|t
// (map to t), a schema, a function that gives one, or a pair of type and traits.

import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const schemas = createRequire(resolve(process.argv[2], "index.js"))("@aws-sdk/client-sqs");
const STRUCTURE = 3, LIST = 1, MAP = 2, LIST_OF = 64, MAP_OF = 128;

function plain(type) {
  if (typeof type === "function") return plain(type());
  if (Array.isArray(type) && typeof type[0] !== "number") return plain(type[0]);
  if (Array.isArray(type) && type.length === 2 && typeof type[1] === "object") return plain(type[0]);
  return type;
}

function checkScalar(type, value, path, complain) {
  if (type & LIST_OF) return checkList(type & ~LIST_OF, value, path, complain);
  if (type & MAP_OF) return checkMap(type & ~MAP_OF, value, path, complain);
  const want = type === 1 ? "number" : type === 2 ? "boolean" : "string";
  if (typeof value !== want) complain(`${path}: expected a ${want}, found ${JSON.stringify(value)}`);
}

function checkList(type, value, path, complain) {
  if (!Array.isArray(value)) return complain(`${path}: expected a list`);
  value.forEach((element, i) => check(type, element, `${path}[${i}]`, complain));
}

function checkMap(type, value, path, complain) {
  if (typeof value !== "object" || Array.isArray(value)) return complain(`${path}: expected a map`);
  for (const [key, element] of Object.entries(value)) check(type, element, `${path}.${key}`, complain);
}

function checkStructure(schema, value, path, complain) {
  const [, , name, , members, types, required = 0] = schema;
  if (typeof value !== "object" || Array.isArray(value)) return complain(`${path}: expected ${name}`);
  for (const [key, element] of Object.entries(value)) {
    const at = members.indexOf(key);
    if (at < 0) complain(`${path}: ${name} has no member ${key}`);
    else check(types[at], element, `${path}.${key}`, complain);
  }
  for (const key of members.slice(0, required))
    if (!(key in value)) complain(`${path}: ${name} needs ${key}`);
}

function check(type, value, path, complain) {
  type = plain(type);
  if (typeof type === "number") return checkScalar(type, value, path, complain);
  if (type[0] === STRUCTURE) return checkStructure(type, value, path, complain);
  if (type[0] === LIST) return checkList(type[4], value, path, complain);
  if (type[0] === MAP) return checkMap(type[5] ?? type[4], value, path, complain);
  complain(`${path}: a schema of kind ${type[0]}, which this check does not know`);
}

let requests = 0, violations = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const { action, body } = JSON.parse(line);
  const schema = schemas[`${action}Request$`];
  const complain = (text) => { violations++; console.log(text); };
  requests++;
  if (schema === undefined) complain(`${action}: no such action`);
  else checkStructure(schema, body, action, complain);
}
console.log(`${requests} requests, ${violations} violations`);
process.exit(violations > 0 ? 1 : 0);
