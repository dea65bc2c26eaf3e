import{a,b}from"./chunk-PVMDH27I.js";import"./chunk-62K4VUYD.js";import"./chunk-6UBROBQJ.js";import"./chunk-6ATBPRIA.js";export{a as protobuf,b as writeMessage};
