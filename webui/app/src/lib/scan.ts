// Asks the worker. Small bodies are scanned at once, where starting one would take longer.

import type { Conversion } from './convert.ts'
import type { Job, Loaded, Readable, Result, Scanned } from './jobs.ts'
import { scan, type Scanner } from './lines.ts'

const small = 256 << 10
/** How long a conversion may take. */
const patience = 20_000

/** scanned gives bytes back with their lines; larger bytes are taken from the caller. */
export function scanned(kind: Scanner, bytes: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<Scanned> {
  if (bytes.length <= small) return Promise.resolve({ bytes, lines: scan(kind, bytes) })
  return ask<Scanned>({ task: 'scan', kind, bytes }, [bytes.buffer], signal)
}

/** converted makes readable text of bytes, which are taken from the caller. */
export function converted(conversion: Conversion, bytes: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<Readable> {
  return ask<Readable>({ task: 'convert', bytes, conversion }, [bytes.buffer], signal, undefined, patience)
}

/** loaded reads a body and finds its lines, telling how many bytes have come. */
export function loaded(path: string, limit: number, type: string, signal: AbortSignal, progress: (bytes: number) => void): Promise<Loaded> {
  return ask<Loaded>({ task: 'load', path, limit, type }, [], signal, progress)
}

function ask<T>(job: Job, transfer: Transferable[], signal: AbortSignal, progress?: (bytes: number) => void, within?: number): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new DOMException('no longer wanted', 'AbortError'))
    const worker = new Worker(new URL('worker.js', document.baseURI), { type: 'module' })
    let timer: ReturnType<typeof setTimeout> | undefined
    const end = (settle: () => void) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      worker.terminate()
      settle()
    }
    const stop = () => end(() => reject(new DOMException('no longer wanted', 'AbortError')))
    signal.addEventListener('abort', stop, { once: true })
    if (within !== undefined) timer = setTimeout(() => end(() => reject(new Error(`This takes longer than ${within / 1000} seconds; the text and hex views have it as it is.`))), within)
    worker.onmessage = (e: MessageEvent<Result>) => {
      const r = e.data
      if ('progress' in r) progress?.(r.progress)
      else if ('problem' in r) end(() => reject(new Error(r.problem)))
      else end(() => resolve(r as T))
    }
    worker.onerror = (e) => end(() => reject(new Error(e.message || 'the body could not be read')))
    worker.postMessage(job, transfer)
  })
}
