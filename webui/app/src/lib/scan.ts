// Runs a scanner where it belongs: small bodies at once, larger ones in a worker.

import type { Job } from '../worker.ts'
import { scan, type Lines, type Scanner } from './lines.ts'

const small = 256 << 10

export interface Scanned {
  bytes: Uint8Array<ArrayBuffer>
  lines: Lines
}

/** scanned gives bytes back with their lines; larger bytes are taken from the caller. */
export function scanned(kind: Scanner, bytes: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<Scanned> {
  if (bytes.length <= small) return Promise.resolve({ bytes, lines: scan(kind, bytes) })
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('worker.js', document.baseURI), { type: 'module' })
    const stop = () => {
      worker.terminate()
      reject(new DOMException('no longer wanted', 'AbortError'))
    }
    signal.addEventListener('abort', stop, { once: true })
    worker.onmessage = (e: MessageEvent<Scanned>) => {
      signal.removeEventListener('abort', stop)
      worker.terminate()
      resolve(e.data)
    }
    worker.onerror = (e) => {
      signal.removeEventListener('abort', stop)
      worker.terminate()
      reject(new Error(e.message || 'the body could not be scanned'))
    }
    const job: Job = { kind, bytes }
    worker.postMessage(job, [bytes.buffer])
  })
}
