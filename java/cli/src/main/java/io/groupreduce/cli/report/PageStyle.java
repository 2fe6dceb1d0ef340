package io.groupreduce.cli.report;

/** The style sheet of the page. */
final class PageStyle {
    static final String CSS = """
            :root { color-scheme: light dark; --page: #f4f5f7; --card: #ffffff; --text: #1f2328; --soft: #5b6470;
              --line: #d9dde2; }
            @media (prefers-color-scheme: dark) {
              :root { --page: #14171a; --card: #1e2226; --text: #e6e8ea; --soft: #a4adb6; --line: #363c42; }
            }
            * { box-sizing: border-box; }
            body { margin: 0; background: var(--page); color: var(--text);
              font: 16px/1.5 system-ui, "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif; }
            main { max-width: 1080px; margin: 0 auto; padding: 32px 24px 48px; }
            h1, h2, h3, p, dd, .tile, .name { overflow-wrap: anywhere; }
            h1 { font-size: 28px; line-height: 1.25; margin: 0 0 12px; }
            h2 { font-size: 21px; margin: 0 0 8px; }
            h3 { font-size: 16px; margin: 20px 0 8px; }
            p { margin: 0 0 12px; }
            section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 22px 24px;
              margin-top: 24px; }
            dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 0 0 20px; }
            dt { color: var(--soft); }
            dd { margin: 0; }
            .tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(215px, 1fr)); gap: 12px; }
            .tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; }
            .value { font-size: 25px; font-weight: 650; line-height: 1.3; font-variant-numeric: tabular-nums; }
            .label, .remark { font-size: 13.5px; color: var(--soft); line-height: 1.4; }
            .note { margin: 14px 0 0; }
            .scroll { overflow-x: auto; }
            table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
            th { text-align: left; font-weight: 600; color: var(--soft); vertical-align: bottom; }
            th, td { padding: 5px 10px; border-bottom: 1px solid var(--line); }
            .number { text-align: right; }
            td.number, td.text { white-space: nowrap; }
            td.name { min-width: 160px; }
            .charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(440px, 100%), 1fr)); gap: 20px;
              margin-top: 22px; }
            figure { margin: 0; min-width: 0; }
            figcaption { font-weight: 600; margin-bottom: 6px; }
            figure svg { display: block; width: 100%; height: auto; background: #ffffff; border: 1px solid var(--line);
              border-radius: 8px; }
            figure .remark { margin: 6px 0 0; }
            summary { cursor: pointer; }
            .missing { border: 1px dashed var(--line); border-radius: 8px; padding: 16px; margin: 0;
              color: var(--soft); }
            footer { margin-top: 24px; font-size: 13.5px; color: var(--soft); }
            @media print {
              :root { --page: #ffffff; --card: #ffffff; --text: #000000; --soft: #444444; --line: #bbbbbb; }
              main { max-width: none; padding: 0; }
              section { border: 0; padding: 0; }
              .charts { grid-template-columns: 1fr 1fr; }
              figure, tr, .tile { break-inside: avoid; }
              h2, h3 { break-after: avoid; }
              details::details-content { content-visibility: visible; }
            }
            """;

    private PageStyle() {}
}
