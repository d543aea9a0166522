/** `modferry config show`: what is in force, as YAML or JSON, with the layer that set each value on request. */
import { stringify } from 'yaml';
import { renderConfigJson, renderConfigYaml, type ShownKey } from '../../config/show.ts';
import type { CliContext } from '../context.ts';
import { loadSettings } from '../settings.ts';

export interface ConfigShowFlags {
  readonly config?: string;
  readonly json?: boolean;
  readonly origin?: boolean;
}

/** Secrets are masked. Throws ConfigError when the configuration has faults. */
export async function configShow(this: CliContext, flags: ConfigShowFlags): Promise<void> {
  const { shown } = await loadSettings(this, flags.config);
  if (flags.origin === true) {
    this.stdout.write(flags.json === true ? renderConfigJson(shown) : renderConfigYaml(shown));
  } else {
    const values = valuesOf(shown);
    this.stdout.write(
      flags.json === true ? `${JSON.stringify(values, null, 2)}\n` : stringify(values, { lineWidth: 0 }),
    );
  }
}

interface Tree {
  [key: string]: unknown;
}

/** Nested as in the file; keys without value are left out. */
function valuesOf(shown: readonly ShownKey[]): Tree {
  const root: Tree = {};
  for (const { path, value } of shown) {
    if (value === undefined) continue;
    let section = root;
    for (const key of path.slice(0, -1)) {
      section[key] ??= {};
      section = section[key] as Tree;
    }
    section[path.at(-1) ?? ''] = value;
  }
  return root;
}
