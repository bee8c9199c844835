// Reports the width of the page's main column, so that strips are drawn as long as fits and never have to be squeezed.

const LARGE_BOX_PX = (5 * 96) / 25.4;
const QUIET_MS = 150; // a window that is being resized is measured when it rests

export default function ({ data, setStateValue }) {
  const column = document.querySelector("[data-testid=stMainBlockContainer]");
  let known = data.known_px;
  let timer = null;
  const report = () => {
    const style = getComputedStyle(column);
    const width = column.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    // What became narrower no longer fits; of what became wider only a whole box is of use.
    if (width <= 0 || (known !== null && width >= known && width < known + LARGE_BOX_PX)) return;
    known = width;
    setStateValue("px", width);
  };
  const observer = new ResizeObserver(() => {
    clearTimeout(timer);
    timer = setTimeout(report, QUIET_MS);
  });
  observer.observe(column);
  report();
  return () => {
    clearTimeout(timer);
    observer.disconnect();
  };
}
