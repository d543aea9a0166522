/** `modferry config schema`: the JSON schema of modferry.yaml, for editors. */
import { renderJsonSchema } from '../../config/json-schema.ts';
import type { CliContext } from '../context.ts';

export function configSchema(this: CliContext): void {
  this.stdout.write(renderJsonSchema());
}
