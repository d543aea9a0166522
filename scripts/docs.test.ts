/**
 * Holds the documents against the code: relative links and their anchors resolve, configuration examples load, and
 * command lines name commands and flags that exist. It judges no prose.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { type CommandEntry, commandTable } from '../src/cli/command-table.ts';
import { root as routes } from '../src/cli/routes.ts';
import { loadSettings } from '../src/cli/settings.ts';
import { ConfigError, formatFaults } from '../src/config/fault.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const pages = ['.', 'docs', 'docs/decisions', 'bench']
  .flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(folder, name)))
  .filter((name) => name.endsWith('.md'))
  .map((name) => ({ name, text: readFileSync(join(root, name), 'utf8') }));

function brokenLinks(page: { name: string; text: string }): string[] {
  return linksOf(page.text).filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [path = '', anchor] = link.split('#');
    const target = path === '' ? join(root, page.name) : join(root, dirname(page.name), path);
    if (relative(root, target).startsWith('..') || !existsSync(target)) return true;
    return anchor !== undefined && !anchorsOf(readFileSync(target, 'utf8')).includes(anchor);
  });
}

function blocks(info: string): [string, Block][] {
  return pages.flatMap(({ name, text }) =>
    blocksOf(text)
      .filter((block) => block.info === info)
      .map((block): [string, Block] => [`${name}:${block.line}`, block]),
  );
}

describe('the documents', () => {
  it.each(pages.map((page) => [page.name, page] as const))('of %s have links that resolve', (_, page) => {
    expect(brokenLinks(page)).toEqual([]);
  });

  it('link to every page under docs/ from the README or the architecture page', () => {
    const linked = pages
      .filter(({ name }) => ['README.md', 'docs/architecture.md'].includes(name))
      .flatMap(({ name, text }) =>
        linksOf(text).map((link) => join(dirname(name), link.split('#')[0] ?? '')),
      );

    const unlinked = pages.map(({ name }) => name).filter((name) => name.startsWith('docs/'));
    expect(unlinked.filter((name) => !linked.includes(name))).toEqual([]);
  });

  it('say the same in both languages: the same links, blocks and headings', () => {
    const [english, chinese] = ['README.md', 'README.zh-CN.md'].map((name) => {
      const text = pages.find((page) => page.name === name)?.text ?? '';
      return {
        links: linksOf(text).filter((link) => !link.startsWith('README')),
        blocks: blocksOf(text).map((block) => block.text),
        headings: text.match(/^#+ /gm),
      };
    });

    expect(chinese).toEqual(english);
  });
});

describe('configuration examples', () => {
  const folder = mkdtempSync(join(tmpdir(), 'modferry-docs-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const examples = blocks('yaml config');

  it('are there', () => {
    expect(examples.length).toBeGreaterThan(5);
  });

  it.each(examples)('at %s load without a fault', async (place, { text }) => {
    const file = join(folder, `${place.replaceAll(/\W/g, '-')}.yaml`);
    writeFileSync(file, text);

    const faults = await loadSettings({ env: {}, cwd: folder }, file).then(
      () => '',
      (error: unknown) => (error instanceof ConfigError ? formatFaults(error.faults) : String(error)),
    );
    expect(faults).toBe('');
  });
});

describe('command lines', () => {
  const table = commandTable(routes);
  const shown = [...blocks('sh'), ...blocks('console')];

  it('are there', () => {
    expect(shown.length).toBeGreaterThan(20);
  });

  it.each(shown)('at %s name commands and flags that exist', (_, { text }) => {
    expect(badCommandLines(text, table)).toEqual([]);
  });

  it.each([
    ['an unknown command', 'modferry servr', ['modferry servr: no command servr']],
    ['an unknown subcommand', 'modferry config chek', ['modferry config chek: no command config chek']],
    ['an unknown flag', 'eval "$(modferry env --uri x)"', ['modferry env --uri x: no flag --uri']],
    ['an unknown flag with a value', 'modferry serve --port=1', ['modferry serve --port=1: no flag --port']],
    [
      'a flag of another command',
      'go list -m all | modferry ls --yes -',
      ['modferry ls --yes -: no flag --yes'],
    ],
    ['a long flag written short', 'modferry ls -x', ['modferry ls -x: no flag -x']],
  ])('are refused with %s', (_, line, faults) => {
    expect(badCommandLines(line, table)).toEqual(faults);
  });

  it('are taken with arguments, quotes, redirections and what stands around them', () => {
    const text = [
      "modferry serve --sumdb 'a b --not-a-flag' --listen=:1  # --nor-this",
      'source <(modferry completion bash)',
      'echo x@latest | modferry warm --url http://localhost:1 - > out',
      'modferry --help',
      'cp modferry.yaml /etc/modferry/',
    ].join('\n');

    expect(badCommandLines(text, table)).toEqual([]);
  });
});

/* What is read off a Markdown page: only the forms that our pages use. */

interface Block {
  /** What stands behind the fence, e.g. `yaml config`. */
  readonly info: string;
  readonly text: string;
  /** Of the opening fence, from 1. */
  readonly line: number;
}

/** Fenced blocks in order. One that is not closed ends with the page. */
function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  let open: { info: string; line: number; lines: string[] } | undefined;
  for (const [index, line] of page.split('\n').entries()) {
    const fence = /^```(.*)$/.exec(line);
    if (fence === null) {
      open?.lines.push(line);
    } else if (open === undefined) {
      open = { info: fence[1]?.trim() ?? '', line: index + 1, lines: [] };
    } else {
      blocks.push({ info: open.info, line: open.line, text: `${open.lines.join('\n')}\n` });
      open = undefined;
    }
  }
  if (open !== undefined) blocks.push({ ...open, text: open.lines.join('\n') });
  return blocks;
}

/** Targets of `[text](target)` outside blocks and code. */
function linksOf(page: string): string[] {
  const prose = withoutBlocks(page).replaceAll(/(?<!\[)`[^`\n]*`(?!\])/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] as string);
}

/** The anchors of the headings, as code hosts make them: small letters, hyphens for blanks, a number when repeated. */
function anchorsOf(page: string): string[] {
  const seen = new Map<string, number>();
  return [...withoutBlocks(page).matchAll(/^#{1,6} (.+)$/gm)].map((match) => {
    const base = (match[1] as string)
      .trim()
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
      .replaceAll(' ', '-');
    const count = seen.get(base) ?? 0;
    seen.set(base, count + 1);
    return count === 0 ? base : `${base}-${count}`;
  });
}

function withoutBlocks(page: string): string {
  return page.replaceAll(/^```[\s\S]*?^```$/gm, '');
}

/* What is read off a shell block: quotes, comments, pipes and `$( )`, and nothing else of the shell. */

/** One sentence for each command line that names a command or flag that is not there. */
function badCommandLines(text: string, table: readonly CommandEntry[]): string[] {
  return commandLinesOf(text).flatMap((words) => {
    const fault = faultOf(words, table);
    return fault === undefined ? [] : [`modferry ${words.join(' ')}: ${fault}`];
  });
}

/** The words after `modferry` of each command line, quotes taken off. */
function commandLinesOf(text: string): string[][] {
  const lines: string[][] = [];
  for (const line of text.split('\n')) {
    // A command begins a line (behind a prompt), or follows a pipe, a semicolon, `&&` or an opening parenthesis.
    for (const match of line.matchAll(/(?:^\s*(?:\$ )?|[|;(&]\s*)(?:\S*\/)?modferry(?=\s|$|\))(.*)/g)) {
      lines.push(wordsOf(match[1] ?? ''));
    }
  }
  return lines;
}

/** Words up to the end of the simple command; quoted ones are marked by a leading quote, so that they are no flags. */
function wordsOf(rest: string): string[] {
  const words: string[] = [];
  for (const [token] of rest.matchAll(/'[^']*'|"[^"]*"|[^\s'"|;&)<>#]+|[|;&)<>#]/g)) {
    if (/^[|;&)<>#]$/.test(token)) break;
    words.push(token);
  }
  return words;
}

function faultOf(words: readonly string[], table: readonly CommandEntry[]): string | undefined {
  const path: string[] = [];
  let entry = table.find((candidate) => candidate.path.length === 0);
  for (const word of words) {
    if (entry === undefined || entry.children.length === 0 || word.startsWith('-')) break;
    path.push(word);
    entry = table.find((candidate) => candidate.path.join(' ') === path.join(' '));
    if (entry === undefined) return `no command ${path.join(' ')}`;
  }
  const known = entry?.flags.map((flag) => flag.name) ?? [];
  // The short forms are no part of the table.
  known.push('-h', ...(path.join(' ') === 'ls' ? ['-l'] : []), ...(path.join(' ') === 'purge' ? ['-y'] : []));
  const unknown = words
    .slice(path.length)
    .filter((word) => /^-{1,2}[A-Za-z]/.test(word))
    .map((word) => word.split('=')[0] as string)
    .find((flag) => !known.includes(flag));
  return unknown === undefined ? undefined : `no flag ${unknown}`;
}
