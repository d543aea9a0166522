/** What a server's certificate says, in one line: for whom, by whom, until when. */
import type { TLSSocket } from 'node:tls';

const dayMs = 86_400_000;
const nearEndDays = 14;

export interface CertificateText {
  readonly text: string;
  /** It ends within two weeks. */
  readonly isNearEnd: boolean;
}

/** `nowMs`: milliseconds since the epoch. */
export function certificateText(socket: TLSSocket, nowMs: number): CertificateText {
  const { subject, issuer, valid_to, subjectaltname } = socket.getPeerCertificate();
  const endMs = Date.parse(valid_to);
  const days = Math.floor((endMs - nowMs) / dayMs);
  const name = firstOf(subject?.CN) ?? subjectaltname?.split(', ')[0]?.replace(/^DNS:/, '') ?? 'nobody';
  const by = firstOf(issuer?.CN) ?? firstOf(issuer?.O) ?? 'an authority without a name';
  const until = Number.isNaN(endMs)
    ? ''
    : `, until ${new Date(endMs).toISOString().slice(0, 10)} (${days} days)`;
  const version = socket.getProtocol() ?? 'TLS';
  return {
    text: plain(`${version}, certificate of ${name}, by ${by}${until}`),
    isNearEnd: days < nearEndDays,
  };
}

function firstOf(value: string | string[] | undefined): string | undefined {
  const text = Array.isArray(value) ? value[0] : value;
  return text === undefined || text === '' ? undefined : text.slice(0, 100);
}

/** A certificate is written by strangers and shown on a terminal. */
function plain(text: string): string {
  return text.replaceAll(/\p{C}/gu, '?');
}
