/** The commands as plain data, read off the routes: for shell completion and for the check of docs/cli.md. */
import type { Command, RouteMap } from '@stricli/core';
import type { CliContext } from './context.ts';

/** What a flag or argument takes, as far as a shell can help with it. */
export type ValueKind = 'none' | 'file' | 'folder' | 'words' | 'other';

export interface FlagEntry {
  /** With its dashes, e.g. `--path-prefix`. */
  readonly name: string;
  readonly brief: string;
  readonly takes: ValueKind;
  /** The words of `words`. */
  readonly words: readonly string[];
}

export interface CommandEntry {
  /** e.g. `['config', 'check']`; empty for the root. */
  readonly path: readonly string[];
  readonly brief: string;
  /** Names below it; empty for a command. */
  readonly children: readonly { readonly name: string; readonly brief: string }[];
  readonly flags: readonly FlagEntry[];
  readonly argument: { readonly takes: ValueKind; readonly words: readonly string[] };
}

/** The flag every command has. */
const helpFlag: FlagEntry = { name: '--help', brief: 'Print help and exit', takes: 'none', words: [] };

/** Depth first, the root itself first. */
export function commandTable(root: RouteMap<CliContext>): CommandEntry[] {
  return visit(root, []);
}

type Target = Command<CliContext> | RouteMap<CliContext>;

function visit(target: Target, path: readonly string[]): CommandEntry[] {
  if (!('getAllEntries' in target)) return [commandEntry(target, path)];
  const entries = target.getAllEntries().filter((entry) => !entry.hidden);
  const named = entries.map((entry) => ({
    name: entry.name['convert-camel-to-kebab'],
    target: entry.target,
  }));
  const children = named.map(({ name, target: child }) => ({ name, brief: child.brief }));
  const own: CommandEntry = {
    path,
    brief: target.brief,
    children,
    flags: [helpFlag],
    argument: { takes: 'none', words: [] },
  };
  return [own, ...named.flatMap(({ name, target: child }) => visit(child, [...path, name]))];
}

function commandEntry(command: Command<CliContext>, path: readonly string[]): CommandEntry {
  const flags = Object.entries(command.parameters.flags ?? {}).map(([name, flag]): FlagEntry => {
    const words = flag.kind === 'enum' ? flag.values : [];
    const placeholder = 'placeholder' in flag ? flag.placeholder : undefined;
    const takes = flag.kind === 'boolean' ? 'none' : flag.kind === 'enum' ? 'words' : kindOf(placeholder);
    return { name: `--${kebab(name)}`, brief: flag.brief, takes, words };
  });
  return {
    path,
    brief: command.brief,
    children: [],
    flags: [...flags, helpFlag],
    argument: argumentOf(command),
  };
}

function argumentOf(command: Command<CliContext>): CommandEntry['argument'] {
  const { positional } = command.parameters;
  const first = positional?.kind === 'array' ? positional.parameter : positional?.parameters[0];
  if (first === undefined) return { takes: 'none', words: [] };
  // A placeholder like `bash|zsh|fish` is its own list of words.
  const words = first.placeholder?.includes('|') === true ? first.placeholder.split('|') : [];
  return words.length > 0 ? { takes: 'words', words } : { takes: kindOf(first.placeholder), words };
}

function kindOf(placeholder: string | undefined): ValueKind {
  if (placeholder === 'FILE') return 'file';
  return placeholder === 'DIR' ? 'folder' : 'other';
}

function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
