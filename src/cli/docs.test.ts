import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { commandTable } from './command-table.ts';
import { exitCodes } from './exit-codes.ts';
import { root } from './routes.ts';
import { fakeCli } from './test-kit.ts';

const page = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8');
const sections = new Map(page.split(/^## /m).map((text) => [text.slice(0, text.indexOf('\n')).trim(), text]));

describe('docs/cli.md', () => {
  const commands = commandTable(root).filter(({ children }) => children.length === 0);

  it.each(commands.map((command) => [`modferry ${command.path.join(' ')}`, command] as const))(
    'has a section on %s with all its flags and an example',
    (name, { flags }) => {
      const section = sections.get(name) ?? '';
      for (const flag of flags.filter((each) => each.name !== '--help'))
        expect(section).toContain(`\`${flag.name}`);
      expect(section).toMatch(/^```(?:sh|console)$/m);
      expect(section).toContain(name);
    },
  );

  it('has a section for nothing else', () => {
    const known = commands.map(({ path }) => `modferry ${path.join(' ')}`);
    expect([...sections.keys()].filter((name) => name.startsWith('modferry')).sort()).toEqual(known.sort());
  });

  it('lists every exit code', () => {
    for (const code of Object.values(exitCodes)) expect(page).toContain(`| ${code} |`);
  });

  it.each(commands.map(({ path }) => path))('stands beside examples in the --help of %s', async (...path) => {
    const { stdout } = await fakeCli().run(...path, '--help');
    expect(stdout).toMatch(/^EXAMPLES\n {2}# .+\n {2}.*modferry/m);
  });
});
