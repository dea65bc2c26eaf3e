import { Fragment } from 'preact'
import { Text } from './Text.tsx'

/** Hint shows advice of eaves. What stands between backticks in it is code. */
export function Hint({ text }: { text: string }) {
  const parts = text.split('`')
  // Without its other half a backtick is just a character.
  if (parts.length % 2 === 0) return <Text text={text} lineBreaks={false} />
  return <>{parts.map((p, i) => <Fragment key={i}>{p === '' ? null : i % 2 ? <code><Text text={p} lineBreaks={false} /></code> : <Text text={p} lineBreaks={false} />}</Fragment>)}</>
}
