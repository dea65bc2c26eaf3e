// The console's HTTP API as functions. Every failure is a Problem: what the server said, in words.

import type { Exchange, Overrides, Page, Rule, Side, Summary } from './types.ts'

/** Problem is an RFC 9457 answer, or the failure to get any (status 0). */
export class Problem extends Error {
  readonly status: number
  /** The column (from 1) in a filter that the problem is about, if it is about one. */
  readonly column: number | undefined
  /** The field of the request that the problem is about, if it is about one. */
  readonly parameter: string | undefined

  constructor(status: number, message: string, column?: number, parameter?: string) {
    super(message)
    this.name = 'Problem'
    this.status = status
    this.column = column
    this.parameter = parameter
  }
}

const base = '/api/v1'

export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  let answer: Response
  try {
    answer = await fetch(base + path, { credentials: 'same-origin', ...init })
  } catch (e) {
    if (e instanceof DOMException && e.name === 'AbortError') throw e
    throw new Problem(0, 'eaves does not answer')
  }
  if (!answer.ok) throw await problem(answer)
  return answer
}

async function problem(answer: Response): Promise<Problem> {
  let text = `${answer.status} ${answer.statusText}`
  let column: number | undefined
  let parameter: string | undefined
  try {
    const p = (await answer.json()) as { title?: string; detail?: string; hint?: string; column?: number; parameter?: string }
    text = p.detail || p.title || text
    column = p.column ?? columnOf(text)
    parameter = p.parameter
    if (p.hint) text += ` (${p.hint})`
  } catch {
    // Not a problem document: the status line has to do.
  }
  return new Problem(answer.status, text, column, parameter)
}

/** columnOf finds the "column N:" with which the filter language reports a mistake. */
export function columnOf(text: string): number | undefined {
  const m = /\bcolumn (\d+):/.exec(text)
  return m ? Number(m[1]) : undefined
}

export async function json<T>(path: string, init?: RequestInit): Promise<T> {
  return (await (await send(path, init)).json()) as T
}

export function body(method: string, value: unknown): RequestInit {
  return { method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(value) }
}

export function search(q: Record<string, string | number | boolean | undefined>): string {
  const s = new URLSearchParams()
  for (const [k, v] of Object.entries(q)) if (v !== undefined && v !== '') s.set(k, String(v))
  const text = s.toString()
  return text ? '?' + text : ''
}

export interface ListQuery {
  filter?: string
  limit?: number
  before?: number
  after?: number
  changedAfter?: number
  total?: boolean
}

export function list(q: ListQuery, signal?: AbortSignal): Promise<Page> {
  return json(`/exchanges${search({ ...q })}`, { signal: signal ?? null })
}

export function exchange(id: number, signal?: AbortSignal): Promise<Exchange> {
  return json(`/exchanges/${id}`, { signal: signal ?? null })
}

export function bodyPath(id: number, side: Side, decoded: boolean): string {
  return `${base}/exchanges/${id}/${side}/body${decoded ? '?decoded=true' : ''}`
}

/** viewPath is a body as a browser may show it by itself; the server looks at the bytes before it says so. */
export function viewPath(id: number, side: Side, view: 'media' | 'html' | 'pdf'): string {
  return `${base}/exchanges/${id}/${side}/body?view=${view}`
}

/** rawPath is a message with its head, as transferred. */
export function rawPath(id: number, side: Side): string {
  return `${base}/exchanges/${id}/${side}/raw`
}

export interface Bytes {
  bytes: Uint8Array<ArrayBuffer>
  /** The size of the whole body; -1 where the server cannot know it without reading it to its end. */
  total: number
  /** Where and why decoding came to its end too early. */
  broken?: string
}

/** A range that the server takes for one part also of a body that it decodes. */
const longestRange = 16 << 20

/** range reads at most length bytes of a body from offset. progress is told how many bytes have come. */
export async function range(path: string, offset: number, length: number, signal?: AbortSignal, progress?: (bytes: number) => void): Promise<Bytes> {
  if (length <= 0) return { bytes: new Uint8Array(), total: 0 }
  const answer = await part(path, offset, length, signal)
  if (answer.status === 416) {
    await answer.body?.cancel()
    const size = /\/(\d+)$/.exec(answer.headers.get('Content-Range') ?? '')
    return { bytes: new Uint8Array(), total: size ? Number(size[1]) : offset }
  }
  if (!answer.ok) throw await problem(answer)
  const said = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(answer.headers.get('Content-Range') ?? '')
  // A server that does not take the range sends everything: read past what was not asked for, stop after what was.
  const skip = answer.status === 206 ? 0 : offset
  const { bytes, failed } = await readUpTo(answer, skip, length, progress)
  signal?.throwIfAborted()
  const declared = Number(answer.headers.get('Content-Length') ?? NaN)
  let total = -1
  if (said) total = said[3] === '*' ? -1 : Number(said[3])
  else if (!failed && !Number.isNaN(declared)) total = declared
  if (total >= 0 || bytes.length >= length) {
    if (failed) throw new Problem(0, 'eaves does not answer')
    return { bytes, total }
  }
  // Less came than was asked for, and nobody said that this was all: the server knows why.
  total = offset + bytes.length
  if (!said && !failed) return { bytes, total }
  const broken = await flaw(path, total, signal)
  if (failed && !broken) throw new Problem(0, 'eaves does not answer')
  return broken ? { bytes, total, broken } : { bytes, total }
}

async function part(path: string, offset: number, length: number, signal?: AbortSignal): Promise<Response> {
  try {
    return await fetch(path, {
      credentials: 'same-origin', signal: signal ?? null,
      // What is wanted from its beginning and may be very long is read as it comes.
      headers: offset === 0 && length > longestRange ? {} : { Range: `bytes=${offset}-${offset + length - 1}` },
    })
  } catch (e) {
    if (e instanceof DOMException && e.name === 'AbortError') throw e
    throw new Problem(0, 'eaves does not answer')
  }
}

/** flaw asks why a body has nothing at offset. */
async function flaw(path: string, offset: number, signal?: AbortSignal): Promise<string | undefined> {
  const answer = await part(path, offset, 1, signal)
  if (answer.status === 422) return (await problem(answer)).message.replace(/ \(ask for it without decoded\)$/, '')
  await answer.body?.cancel()
  return undefined
}

/** bodyRange reads at most length bytes of a body from offset. */
export function bodyRange(
  id: number, side: Side, decoded: boolean, offset: number, length: number,
  signal?: AbortSignal, progress?: (bytes: number) => void,
): Promise<Bytes> {
  return range(bodyPath(id, side, decoded), offset, length, signal, progress)
}

/** readUpTo reads what comes; failed says that the answer was cut. */
async function readUpTo(answer: Response, skip: number, length: number, progress?: (bytes: number) => void): Promise<{ bytes: Uint8Array<ArrayBuffer>; failed: boolean }> {
  const reader = answer.body?.getReader()
  if (!reader) return { bytes: new Uint8Array(), failed: false }
  const chunks: Uint8Array[] = []
  let have = 0
  let failed = false
  for (;;) {
    const next = await reader.read().catch(() => undefined)
    if (!next) failed = true
    if (!next || next.done) break
    let chunk = next.value
    if (skip > 0) {
      const cut = Math.min(skip, chunk.length)
      skip -= cut
      chunk = chunk.subarray(cut)
    }
    if (have + chunk.length > length) chunk = chunk.subarray(0, length - have)
    if (chunk.length > 0) chunks.push(chunk)
    have += chunk.length
    progress?.(have)
    if (have >= length) {
      void reader.cancel()
      break
    }
  }
  const out = new Uint8Array(have)
  let at = 0
  for (const c of chunks) {
    out.set(c, at)
    at += c.length
  }
  return { bytes: out, failed }
}

export async function replay(id: number, overrides: Overrides): Promise<number> {
  return (await json<{ id: number }>(`/exchanges/${id}/replay`, body('POST', overrides))).id
}

export async function compose(request: Overrides): Promise<number> {
  return (await json<{ id: number }>('/requests', body('POST', request))).id
}

/** remove deletes what matches the filter; an empty filter deletes everything. */
export async function remove(filter: string, leaving = false): Promise<void> {
  await send(`/exchanges${search({ filter })}`, { method: 'DELETE', keepalive: leaving })
}

export function mark(id: number, text: string): Promise<Exchange> {
  return json(`/exchanges/${id}`, body('PATCH', { mark: text }))
}

export function status(signal?: AbortSignal): Promise<Record<string, unknown>> {
  return json('/status', { signal: signal ?? null })
}

export async function recording(): Promise<boolean> {
  return (await json<{ recording: boolean }>('/recording')).recording
}

export async function setRecording(on: boolean): Promise<boolean> {
  await send('/recording', body('PUT', { recording: on }))
  return on
}

export async function rules(): Promise<Rule[]> {
  const r = await json<{ rules: Rule[] | null }>('/rules')
  return r.rules ?? []
}

export async function addRule(rule: Omit<Rule, 'id'>): Promise<void> {
  await send('/rules', body('POST', rule))
}

export async function changeRule(rule: Rule): Promise<void> {
  await send(`/rules/${rule.id}`, body('PUT', rule))
}

export async function removeRule(id: number): Promise<void> {
  await send(`/rules/${id}`, { method: 'DELETE' })
}

/** What an exchange that loaded a page loaded with it, as it began. */
export interface PageLoad {
  exchanges: Summary[]
  /** false: the page loaded more than that. */
  complete: boolean
}

export function pageLoad(id: number, signal?: AbortSignal): Promise<PageLoad> {
  return json(`/exchanges/${id}/page`, { signal: signal ?? null })
}
