/** The JSON schema of `modferry.yaml`, for editors (`# yaml-language-server: $schema=…`). A pure function of the schema. */
import * as z from 'zod';
import { configSchema } from './schema.ts';

/** The text of modferry.schema.json. */
export function renderJsonSchema(): string {
  const schema = z.toJSONSchema(configSchema, { io: 'input', target: 'draft-7', reused: 'inline' });
  const titled = { title: 'modferry.yaml', description: 'Configuration of modferry, a Go module proxy.' };
  return `${JSON.stringify({ $schema: schema.$schema, ...titled, ...schema }, null, 2)}\n`;
}
