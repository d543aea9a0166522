/** The border of `audit/`: who did what, when, from where, with which result (append-only). */

export const auditActions = [
  'publish',
  'unpublish',
  'purge',
  'release',
  'trust',
  'token_create',
  'token_revoke',
  'login',
  'rules',
  'mode',
  'order',
  'delivery',
  'replay',
  'denied',
] as const;
export type AuditAction = (typeof auditActions)[number];

export const auditResults = ['ok', 'refused', 'failed'] as const;
export type AuditResult = (typeof auditResults)[number];

export interface AuditEntry {
  readonly action: AuditAction;
  /** `token:ci`, `user:alice`, `anonymous`, `local` (the admin socket), `modferry` (itself). */
  readonly who: string;
  /** Address, or `local`. */
  readonly from: string;
  readonly result: AuditResult;
  readonly module?: string | undefined;
  readonly version?: string | undefined;
  /** A sentence. */
  readonly reason?: string | undefined;
  /** More facts, plain JSON, no secrets. */
  readonly data?: Readonly<Record<string, unknown>> | undefined;
}

export interface Audit {
  /** Never throws; what cannot be written is counted and logged. */
  note(entry: AuditEntry): void;
}
