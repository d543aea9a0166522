/**
 * The exit codes of every command, in one place because scripts rely on them. Where sysexits(3) has a number for
 * the case it is used; `docs/cli.md` lists them for users.
 */
export const exitCodes = {
  /** Everything that was asked for is done. */
  ok: 0,
  /** It ran, and something failed: a module that is not stored, a fetch that failed, a fault in the store. */
  failed: 1,
  /** Wrong command, flag or argument. */
  usage: 2,
  /** No running modferry could be reached (EX_UNAVAILABLE). */
  unavailable: 69,
  /** A fault of modferry itself (EX_SOFTWARE). */
  internal: 70,
  /** The configuration has faults (EX_CONFIG). */
  config: 78,
  /** Ended by Ctrl-C, as a shell reports it: 128 + SIGINT. */
  interrupted: 130,
  /** Whoever read our output went away, as a shell reports it: 128 + SIGPIPE. */
  pipeClosed: 141,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
