// Bodies that are not looked at as lines: what a browser shows by itself, forms, parts.

import { useEffect, useMemo, useState } from 'preact/hooks'
import { essence, nature } from '../lib/content.ts'
import { duration, size } from '../lib/format.ts'
import { multipart, parameter } from '../lib/multipart.ts'
import { form } from '../lib/url.ts'
import { visible } from '../lib/visible.ts'
import { Hex, inMemory } from './Hex.tsx'
import { Text } from './Text.tsx'

/** Image shows bytes as an image. Scripts in an SVG do not run in an image element. */
export function Image({ bytes, type }: { bytes: Uint8Array<ArrayBuffer>; type: string }) {
  const [facts, setFacts] = useState('')
  const [broken, setBroken] = useState(false)
  const url = useMemo(() => URL.createObjectURL(new Blob([bytes], { type })), [bytes, type])
  useEffect(() => {
    setBroken(false)
    return () => URL.revokeObjectURL(url)
  }, [url])
  if (broken) return <p class="empty">The browser cannot show this image; the hex view has its bytes.</p>
  return (
    <figure class="image">
      <img src={url} alt="The body as an image" onLoad={(e) => setFacts(`${e.currentTarget.naturalWidth} × ${e.currentTarget.naturalHeight}`)} onError={() => setBroken(true)} />
      <figcaption>{[essence(type).slice(6), facts, size(bytes.length)].filter(Boolean).join(' · ')}</figcaption>
    </figure>
  )
}

/** Preview shows a page in a frame where nothing runs and nothing is fetched; the server sees to it as well. */
export function Preview({ src }: { src: string }) {
  return (
    <div class="framed">
      <p class="note">Without scripts and without anything that is loaded from elsewhere.</p>
      <iframe sandbox="" src={src} title="Preview of the page" referrerpolicy="no-referrer" />
    </div>
  )
}

/** PDF leaves a document to the browser's own viewer, where it has one. */
export function PDF({ src }: { src: string }) {
  const able = navigator.pdfViewerEnabled
  return (
    <div class="framed">
      <p class="note">{able ? 'If nothing shows here, your browser wants it in a tab: ' : 'This browser shows no PDF in a page. '}<a href={src} target="_blank" rel="noopener noreferrer">Open in a new tab</a></p>
      {able && <iframe src={src} title="The PDF" referrerpolicy="no-referrer" />}
    </div>
  )
}

/** Media plays sound and film, by ranges. */
export function Media({ src, type, bytes }: { src: string; type: string; bytes: Uint8Array }) {
  const [broken, setBroken] = useState(false)
  const [facts, setFacts] = useState('')
  useEffect(() => setBroken(false), [src])
  const start = new TextDecoder('latin1').decode(bytes.subarray(0, 12))
  const sound = /^audio\//.test(essence(type)) || /^(ID3|fLaC|RIFF....WAVE)/.test(start)
  if (broken) return <p class="empty">The browser cannot play this; the hex view has its bytes.</p>
  const props = { src, controls: true, preload: 'metadata' as const, onError: () => setBroken(true) }
  const length = (e: { currentTarget: HTMLMediaElement }) => (Number.isFinite(e.currentTarget.duration) ? duration(e.currentTarget.duration * 1000) : '')
  return (
    <figure class="image">
      {sound ? <audio {...props} aria-label="The body as sound" onLoadedMetadata={(e) => setFacts(length(e))} />
        : <video {...props} aria-label="The body as film" onLoadedMetadata={(e) => setFacts(`${e.currentTarget.videoWidth} × ${e.currentTarget.videoHeight}, ${length(e)}`)} />}
      <figcaption>{[essence(type), facts].filter(Boolean).join(' · ')}</figcaption>
    </figure>
  )
}

/** Pairs is a table of names and values. */
export function Pairs({ rows, label }: { rows: { name: string; value: string }[]; label: string }) {
  return (
    <table class="pairs" aria-label={label}>
      <tbody>
        {rows.slice(0, 2000).map((r, i) => (
          <tr key={i}>
            <th scope="row"><Text text={r.name} /></th>
            <td><Text text={r.value.length > 20000 ? r.value.slice(0, 20000) + ' …' : r.value} lineBreaks={false} /></td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

export function Form({ text }: { text: string }) {
  const rows = useMemo(() => form(text), [text])
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Form fields">
      <Pairs rows={rows} label="Form fields" />
      {rows.length > 2000 && <p class="note">The first 2,000 of {rows.length} fields; the text view has all.</p>}
    </div>
  )
}

export function Parts({ bytes, type }: { bytes: Uint8Array<ArrayBuffer>; type: string }) {
  const { parts, complete, more } = useMemo(() => multipart(bytes, parameter(type, 'boundary')), [bytes, type])
  if (parts.length === 0) return <p class="empty">The boundary that the Content-Type names is not in this body.</p>
  return (
    <div class="scroll parts" tabIndex={0} role="region" aria-label="Parts">
      {parts.map((p, i) => (
        <section key={i} class="part">
          <h4><Text text={p.name || `Part ${i + 1}`} />{p.filename && <span class="dim"> · <Text text={p.filename} /></span>}<span class="dim"> · {size(p.end - p.start)}</span></h4>
          <Pairs rows={p.headers} label={`Headers of part ${i + 1}`} />
          <PartBody bytes={bytes.subarray(p.start, p.end)} type={p.type} name={visible(p.name || `part ${i + 1}`)} />
        </section>
      ))}
      {more ? <p class="note">There are more parts than are shown; the text and hex views have all.</p>
        : !complete && <p class="note warn">The closing boundary is missing: this body is not whole here.</p>}
    </div>
  )
}

const preview = 4000

function PartBody({ bytes, type, name }: { bytes: Uint8Array<ArrayBuffer>; type: string; name: string }) {
  const n = nature(type, bytes.subarray(0, 8192))
  if (bytes.length === 0) return <p class="dim">empty</p>
  if (n.looks[0] === 'image') return <Image bytes={bytes} type={n.image} />
  if (n.looks[0] === 'hex') return <div class="inset"><Hex source={inMemory(bytes)} label={`Bytes of ${name}`} /></div>
  const text = new TextDecoder().decode(bytes.subarray(0, preview))
  return <pre class="plain"><Text text={text} lineBreaks={false} />{bytes.length > preview && <span class="dim"> … {size(bytes.length - preview)} more</span>}</pre>
}
