/**
 * Which bytes of a file a good answer brings (RFC 9110 §14), or why they are of no use: all of a 200, the rest from
 * the byte asked for of a 206. Only zips are ever asked for in part.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { contentLengthOf, headerOf, isHtml } from './answer-head.ts';
import type { UpstreamRequest } from './types.ts';

/** Lengths in bytes; undefined ones were not declared. */
export interface BodyPlace {
  readonly offset: number;
  readonly contentLength: number | undefined;
  readonly totalBytes: number | undefined;
}

export interface HeadFault {
  readonly code: 'refused' | 'protocol';
  readonly message: string;
}

/** A validator that promises equal bytes. Weak ones (`W/`) do not, and what is malformed promises nothing. */
export function isStrongEtag(etag: string | undefined): etag is string {
  return etag !== undefined && /^"[\x21\x23-\x7e\x80-\xff]{1,200}"$/.test(etag);
}

/** Lower-case header names; none for a whole file. */
export function rangeHeaders(request: UpstreamRequest): Record<string, string> {
  const fromByte = firstByteOf(request);
  if (fromByte === 0) return {};
  const condition = isStrongEtag(request.ifRange) ? { 'if-range': request.ifRange } : {};
  return { range: `bytes=${fromByte}-`, ...condition };
}

/** Of a 200 or 206 to this request, before its body is read. */
export function placeOf(
  status: number,
  headers: IncomingHttpHeaders,
  request: UpstreamRequest,
): BodyPlace | HeadFault {
  const fault = faultOf(headers);
  if (fault !== undefined) return fault;
  if (status === 206) return partPlace(headers, firstByteOf(request));
  const contentLength = contentLengthOf(headers);
  return { offset: 0, contentLength, totalBytes: contentLength };
}

/** The byte to go on from; 0 is the whole file. */
function firstByteOf({ fromByte = 0, answerClass }: UpstreamRequest): number {
  return answerClass === 'zip' ? fromByte : 0;
}

function faultOf(headers: IncomingHttpHeaders): HeadFault | undefined {
  const coding = headerOf(headers, 'content-encoding')?.trim().toLowerCase() ?? '';
  if (coding !== '' && coding !== 'identity') {
    return {
      code: 'protocol',
      message: `coded the body as ${coding.slice(0, 20)} although identity was asked`,
    };
  }
  // Captive portals and block pages answer everything with 200 and a page.
  if (isHtml(headerOf(headers, 'content-type') ?? '')) {
    return { code: 'refused', message: 'answered with an HTML page' };
  }
  return undefined;
}

function partPlace(headers: IncomingHttpHeaders, fromByte: number): BodyPlace | HeadFault {
  if (fromByte === 0) return unfit('sent a part (206) although the whole file was asked');
  if (/^\s*multipart\//i.test(headerOf(headers, 'content-type') ?? '')) {
    return unfit('sent several parts (multipart) where one was asked');
  }
  const text = headerOf(headers, 'content-range');
  const match = /^\s*bytes\s+(\d{1,15})-(\d{1,15})\/(\d{1,15})\s*$/i.exec(text ?? '');
  if (match === null) return unfit('sent a part (206) without saying which one');
  const [first = 0, last = 0, totalBytes = 0] = match.slice(1).map(Number);
  if (first !== fromByte || last !== totalBytes - 1 || last < first) {
    return unfit(`sent another part than the one asked from byte ${fromByte}`);
  }
  const declared = contentLengthOf(headers);
  const contentLength = totalBytes - fromByte;
  if (declared !== undefined && declared !== contentLength) {
    return unfit('sent a part (206) whose length does not fit its range');
  }
  return { offset: fromByte, contentLength, totalBytes };
}

function unfit(message: string): HeadFault {
  return { code: 'protocol', message };
}
