import{a,b}from"./chunk-OZO4ASBB.js";import"./chunk-EEPD46WU.js";import"./chunk-6UBROBQJ.js";import"./chunk-6ATBPRIA.js";export{a as protobuf,b as writeMessage};
