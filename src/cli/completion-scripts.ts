/**
 * Renders completion scripts from the command table. They are static: a completion must answer at once, so the
 * script never starts modferry. All three find the command by the words before the cursor, flags left out.
 */
import type { CommandEntry, FlagEntry } from './command-table.ts';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

export function renderCompletion(shell: Shell, table: readonly CommandEntry[]): string {
  if (shell === 'bash') return renderBash(table);
  return shell === 'zsh' ? renderZsh(table) : renderFish(table);
}

/** Flags whose value is the next word: that word is no command. */
function valueFlags(table: readonly CommandEntry[]): string[] {
  const names = table.flatMap(({ flags }) =>
    flags.filter(({ takes }) => takes !== 'none').map(({ name }) => name),
  );
  return [...new Set(names)];
}

function pathKey({ path }: CommandEntry): string {
  return path.join(' ');
}

function renderBash(table: readonly CommandEntry[]): string {
  const groups = table.filter(({ children }) => children.length > 0);
  return `# bash completion for modferry. Use it now:   source <(modferry completion bash)
# For every shell: modferry completion bash > ~/.local/share/bash-completion/completions/modferry
_modferry() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} path='' skip='' word index
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=\${COMP_WORDS[index]}
    if [[ -n $skip ]]; then skip=''; continue; fi
    case $word in
      ${valueFlags(table).join('|')}) skip=1 ;;
      -*) ;;
      *) case "$path" in
        ${groups.map((entry) => `'${pathKey(entry)}'`).join('|')}) path="\${path:+$path }$word" ;;
      esac ;;
    esac
  done
  COMPREPLY=()
  case "$path:$previous" in
${table.flatMap(bashFlagCases).join('')}  esac
  if [[ $current == -* ]]; then
    case "$path" in
${table.map((entry) => `      '${pathKey(entry)}') COMPREPLY=($(compgen -W '${flagNames(entry)}' -- "$current")) ;;\n`).join('')}    esac
    return
  fi
  case "$path" in
${table.flatMap(bashArgumentCase).join('')}  esac
}
complete -o filenames -F _modferry modferry
`;
}

function flagNames({ flags }: CommandEntry): string {
  return flags.map(({ name }) => name).join(' ');
}

function bashFlagCases(entry: CommandEntry): string[] {
  return entry.flags
    .filter(({ takes }) => takes !== 'none')
    .map(
      ({ name, takes, words }) => `    '${pathKey(entry)}:${name}') ${bashReply(takes, words)} return ;;\n`,
    );
}

function bashArgumentCase(entry: CommandEntry): string[] {
  const { children, argument } = entry;
  const words = children.length > 0 ? children.map(({ name }) => name) : argument.words;
  const reply = bashReply(children.length > 0 ? 'words' : argument.takes, words);
  return reply === '' ? [] : [`    '${pathKey(entry)}') ${reply} ;;\n`];
}

function bashReply(takes: FlagEntry['takes'], words: readonly string[]): string {
  if (takes === 'words') return `COMPREPLY=($(compgen -W '${words.join(' ')}' -- "$current"));`;
  // mapfile keeps names with spaces in one piece.
  if (takes === 'file') return 'mapfile -t COMPREPLY < <(compgen -f -- "$current");';
  if (takes === 'folder') return 'mapfile -t COMPREPLY < <(compgen -d -- "$current");';
  return '';
}

function renderZsh(table: readonly CommandEntry[]): string {
  const functions = table.map((entry) => {
    const specs = entry.flags.map((flag) => `    ${quote(zshFlag(flag))} \\\n`).join('');
    const name = zshName(entry);
    if (entry.children.length === 0) {
      return `${name}() {\n  _arguments -s \\\n${specs}    ${quote(zshArgument(entry))}\n}\n`;
    }
    const commands = entry.children
      .map((child) => `    ${quote(`${child.name}:${escapeColon(child.brief)}`)}\n`)
      .join('');
    const cases = entry.children
      .map((child) => `        ${child.name}) ${zshName({ path: [...entry.path, child.name] })} ;;\n`)
      .join('');
    return `${name}() {
  local -a commands=(
${commands}  )
  local state line
  _arguments -C \\
${specs}    '1: :->command' \\
    '*:: :->rest'
  case $state in
    command) _describe command commands ;;
    rest)
      case $line[1] in
${cases}      esac ;;
  esac
}
`;
  });
  return `#compdef modferry
# zsh completion for modferry. Use it now:   source <(modferry completion zsh)
# For every shell: modferry completion zsh > "\${fpath[1]}/_modferry"
${functions.join('\n')}
# Read from $fpath this file is the function itself; sourced, it only registers it.
if [[ $funcstack[1] == _modferry ]]; then _modferry "$@"; else compdef _modferry modferry; fi
`;
}

function zshName({ path }: Pick<CommandEntry, 'path'>): string {
  return ['_modferry', ...path].join('_').replaceAll('.', '_');
}

function zshFlag({ name, brief, takes, words }: FlagEntry): string {
  const text = brief.replaceAll(/[[\]]/g, (bracket) => `\\${bracket}`);
  return `*${name}[${text}]${takes === 'none' ? '' : `:value:${zshAction(takes, words)}`}`;
}

function zshArgument({ argument }: CommandEntry): string {
  return argument.takes === 'none' ? '*: :' : `*: :${zshAction(argument.takes, argument.words)}`;
}

function zshAction(takes: FlagEntry['takes'], words: readonly string[]): string {
  if (takes === 'words') return `(${words.join(' ')})`;
  if (takes === 'file') return '_files';
  return takes === 'folder' ? '_files -/' : '';
}

function escapeColon(text: string): string {
  return text.replaceAll(':', String.raw`\:`);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function renderFish(table: readonly CommandEntry[]): string {
  const lines = table.flatMap((entry) => {
    const condition = fishCondition(entry, table);
    const start = `complete -c modferry -n ${quoteFish(condition)}`;
    const children = entry.children.map(({ name, brief }) => `${start} -f -a ${name} -d ${quoteFish(brief)}`);
    const flags = entry.flags.map((flag) => `${start} ${fishFlag(flag)}`);
    const { takes, words } = entry.argument;
    const argument =
      takes === 'words'
        ? [`${start} -f -a ${quoteFish(words.join(' '))}`]
        : takes === 'file'
          ? [`${start} -F`]
          : [];
    return [...children, ...flags, ...argument];
  });
  return `# fish completion for modferry. Use it now:   modferry completion fish | source
# For every shell: modferry completion fish > ~/.config/fish/completions/modferry.fish
complete -c modferry -f
${lines.join('\n')}
`;
}

function fishCondition({ path, children }: CommandEntry, table: readonly CommandEntry[]): string {
  if (path.length === 0) return '__fish_use_subcommand';
  const seen = path.map((name) => `__fish_seen_subcommand_from ${name}`);
  const deeper =
    children.length === 0
      ? []
      : [`not __fish_seen_subcommand_from ${children.map(({ name }) => name).join(' ')}`];
  // `env` alone must not match below another group that has a command of the same name.
  const groups = table.filter(
    (entry) => entry.path.length === 1 && entry.children.length > 0 && entry.path[0] !== path[0],
  );
  const elsewhere =
    path.length === 1 && groups.length > 0
      ? [`not __fish_seen_subcommand_from ${groups.map((entry) => entry.path[0]).join(' ')}`]
      : [];
  return [...seen, ...deeper, ...elsewhere].join('; and ');
}

function fishFlag({ name, brief, takes, words }: FlagEntry): string {
  const long = `-l ${name.slice(2)} -d ${quoteFish(brief)}`;
  if (takes === 'none') return `-f ${long}`;
  if (takes === 'words') return `-x ${long} -a ${quoteFish(words.join(' '))}`;
  return takes === 'other' ? `-x ${long}` : `-r -F ${long}`;
}

function quoteFish(text: string): string {
  return `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`;
}
