// Hands each update to the strip of live_trace.js, which may be drawn a moment later.
export default function ({ data, setTriggerValue }) {
  window.ecgFeed = { data, send: setTriggerValue };
  window.ecgStrip?.take(window.ecgFeed);
  return () => { window.ecgFeed = null; }; // no strip of a later session begins with it
}
